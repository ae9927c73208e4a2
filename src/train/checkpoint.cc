#include "train/checkpoint.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <span>

#include "core/error.h"
#include "core/hash.h"
#include "weights/safetensors.h"

namespace samner::train {
namespace {

constexpr auto format = "samner training checkpoint 1";
constexpr std::array<char const*, 3> names{"values", "first_moment", "second_moment"};

std::string digest(Checkpoint const& checkpoint, std::string const& curve) {
    Sha256 hash;
    for (auto const* part : {&checkpoint.values, &checkpoint.first_moment, &checkpoint.second_moment})
        hash.update(std::as_bytes(std::span{*part}));
    return hash.update(curve).hex();
}

std::string text_of(std::vector<Step> const& curve) {
    auto steps = Json::array();
    for (auto const& step : curve) steps.push_back(step.to_json());
    return steps.dump();
}

Checkpoint parse(weights::SafetensorsFile const& file, std::int64_t parameters) {
    auto const place = file.path().string();
    Checkpoint checkpoint;
    for (std::size_t i = 0; auto* part : {&checkpoint.values, &checkpoint.first_moment, &checkpoint.second_moment}) {
        *part = file.floats(names[i++]);
        if (std::ssize(*part) != parameters)
            throw InputError{fmt::format("{} values instead of {} ({})", part->size(), parameters, place)};
    }
    auto const& curve = file.metadata().at("curve");
    if (digest(checkpoint, curve) != file.metadata().at("sha256"))
        throw InputError{fmt::format("its bytes are not those that were written ({})", place)};
    for (auto const& step : parse_json(curve, place)) checkpoint.curve.push_back(Step::from_json(step, place));
    return checkpoint;
}

}  // namespace

void write_checkpoint(std::filesystem::path const& path, std::string const& identity, Checkpoint const& checkpoint) {
    std::vector<weights::TensorView> tensors;
    for (std::size_t i = 0;
         auto const* part : {&checkpoint.values, &checkpoint.first_moment, &checkpoint.second_moment}) {
        tensors.push_back({names[i++], weights::Dtype::f32, {std::ssize(*part)}, std::as_bytes(std::span{*part})});
    }
    auto const curve = text_of(checkpoint.curve);
    weights::write_safetensors(
        path, tensors,
        {{"format", format}, {"identity", identity}, {"curve", curve}, {"sha256", digest(checkpoint, curve)}});
}

std::optional<Checkpoint> read_checkpoint(std::filesystem::path const& path, std::string const& identity,
                                          std::int64_t parameters) {
    if (!std::filesystem::exists(path)) return std::nullopt;
    auto const damaged = [&](std::string const& why) {
        spdlog::warn("the checkpoint '{}' is damaged: training starts from its first step — {}", path.string(), why);
        return std::nullopt;
    };
    try {
        weights::SafetensorsFile const file{path};
        auto const& metadata = file.metadata();
        for (auto const* key : {"format", "identity", "curve", "sha256"})
            if (!metadata.contains(key)) return damaged(fmt::format("it has no {}", key));
        if (metadata.at("format") == format && metadata.at("identity") == identity) return parse(file, parameters);
    } catch (std::exception const& error) {
        return damaged(describe(error));
    }
    throw InputError{fmt::format("'{}' is the checkpoint of another training: base model, options, examples or first "
                                 "adapter differ",
                                 path.string()),
                     "remove it to train anew, or take these settings back to go on with it"};
}

}  // namespace samner::train
