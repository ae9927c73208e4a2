#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/fields.h"
#include "work/arithmetic.h"
#include "work/recipe.h"
#include "work/texts.h"

namespace samner::work {

struct Encoded {
    static constexpr std::string_view kind = "encode";
    std::int64_t texts = 0;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("texts", self.texts);
    }
};

/// The entity types of data sets, as texts `name: definition`.
struct Types {
    static constexpr std::string_view kind = "types";
    std::string owner;               ///< whose they are, for people
    std::vector<std::string> texts;  ///< each once, in order of their bytes

    friend bool operator==(Types const&, Types const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("owner", self.owner, no_influence);
        visit("texts", self.texts);
    }
};

/// The centroid that an expert's folder brings (work::Card): nothing is encoded for it.
struct Known {
    static constexpr std::string_view kind = "card";
    std::string expert;  ///< for people
    std::string folder;  ///< of the adapter
    std::string sha256;  ///< of the centroid (Card::Domain::sha256)

    friend bool operator==(Known const&, Known const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("expert", self.expert, no_influence);
        visit("folder", self.folder, no_influence);
        visit("sha256", self.sha256);
    }
};

/// The mean embedding of an expert's training texts, of a target's texts (SaM, section 3.2) or of types: safetensors
/// with `mean`.
struct Encode {
    using Result = Encoded;
    static constexpr std::string_view kind = "encode";
    static constexpr int revision = 2;  // 2: as for Cluster

    std::string encoder;  ///< its hash
    std::variant<Recipe, Texts, Types, Known> of;
    Arithmetic arithmetic;
    std::int64_t texts = 0;  ///< that are expected

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("encoder", self.encoder);
        visit("of", self.of);
        visit("arithmetic", self.arithmetic, no_influence);
        visit("texts", self.texts, no_influence);
    }
    std::string label() const;
    int width() const { return 1; }
    std::int64_t size() const { return texts; }
};

}  // namespace samner::work
