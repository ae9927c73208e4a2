#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "prompt/prompt.h"
#include "train/options.h"
#include "work/texts.h"

namespace samner::work {

/// What a selection has to know of an expert and its weights do not say: ADAPTER/samner.json beside the PEFT files.
/// What is not known is left out.
struct Card {
    static constexpr std::string_view file = "samner.json";

    /// The base model that it was trained for.
    struct Base {
        std::string name;    ///< for people
        std::string sha256;  ///< of the model and its tokeniser (plan::Inputs::base)

        friend bool operator==(Base const&, Base const&) = default;
        template <class Self, class Visit>
        static void fields(Self& self, Visit&& visit) {
            visit("name", self.name);
            visit("sha256", self.sha256);
        }
    };
    /// Where its texts lie among others (SaM, section 3.2).
    struct Domain {
        std::string encoder;          ///< for people
        std::string encoder_sha256;   ///< of the encoder and its tokeniser (plan::Inputs::encoder)
        std::int64_t texts = 0;       ///< that are averaged
        std::vector<float> centroid;  ///< mean of their embeddings, shape [dimension]

        friend bool operator==(Domain const&, Domain const&) = default;
        template <class Self, class Visit>
        static void fields(Self& self, Visit&& visit) {
            visit("encoder", self.encoder);
            visit("encoder_sha256", self.encoder_sha256);
            visit("texts", self.texts);
            visit("centroid", self.centroid);
        }
        std::string sha256() const;  ///< of the centroid's numbers
    };
    struct Training {
        std::vector<std::string> data;  ///< data sets or files
        std::int64_t samples = 0;       ///< that it saw, each once an epoch
        std::string program;            ///< samner's version
        train::Options options;

        template <class Self, class Visit>
        static void fields(Self& self, Visit&& visit) {
            visit("data", self.data);
            visit("samples", self.samples);
            visit("program", self.program);
            visit("options", self.options);
        }
    };

    std::string adapter;  ///< hash of the weights that it tells of (weights::adapter_hash)
    std::optional<Base> base = {};
    std::optional<Domain> domain = {};
    std::vector<WantedType> types = {};  ///< that it was trained to find
    std::optional<prompt::Options> prompt = {};
    std::optional<Training> training = {};

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("adapter", self.adapter);
        visit("base", self.base);
        visit("domain", self.domain);
        visit("types", self.types);
        visit("prompt", self.prompt);
        visit("training", self.training);
    }
};

/// The card in an adapter's folder; nothing where there is none.
/// @throws InputError naming the file for one that cannot be read, or is of a newer version
std::optional<Card> read_card(std::filesystem::path const& adapter);

/// The card of the weights that an adapter's folder has now.
struct CardOfWeights {
    std::optional<Card> card = {};
    std::string missing = {};  ///< why there is none; empty: there is
};

/// @param sha256  of the weights (weights::adapter_hash)
/// @throws InputError as read_card does
CardOfWeights card_of_weights(std::filesystem::path const& adapter, std::string const& sha256);

/// Writes it into an adapter's folder, whole or not at all; what is there is replaced. @throws StorageError
void write_card(std::filesystem::path const& adapter, Card const& card);

/// Adds the types of a data set that are scored, each name once.
void add_types(std::vector<WantedType>& types, corpus::Dataset const& dataset);

/// The texts that stand for the types: `name: definition`, or the name where it is not defined.
std::vector<std::string> type_texts(std::vector<WantedType> const& types);

}  // namespace samner::work
