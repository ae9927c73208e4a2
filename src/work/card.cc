#include "work/card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"

namespace samner::work {
namespace {

constexpr int version = 1;

}  // namespace

std::string Card::Domain::sha256() const {
    auto const bytes = std::as_bytes(std::span{centroid});
    return samner::sha256({reinterpret_cast<char const*>(bytes.data()), bytes.size()});
}

std::optional<Card> read_card(std::filesystem::path const& adapter) {
    auto const path = adapter / Card::file;
    if (!std::filesystem::exists(path)) return std::nullopt;
    auto const remedy = fmt::format("remove it, and make it anew: samner card {}", adapter.string());
    auto json = Json::parse(read_text(path), nullptr, false);
    if (!json.is_object()) throw InputError{fmt::format("'{}' is no JSON object", path.string()), remedy};
    auto const found = json.value("version", Json{});
    if (found != version)
        throw InputError{
            fmt::format("'{}' is of version {}, this program reads {}", path.string(), found.dump(), version), remedy};
    json.erase("version");
    try {
        return from_wire<Card>(json, "card", path.string());
    } catch (InputError const& error) {
        throw InputError{error.what(), remedy};
    }
}

CardOfWeights card_of_weights(std::filesystem::path const& adapter, std::string const& sha256) {
    auto card = read_card(adapter);
    if (!card) return {{}, "no card"};
    if (card->adapter != sha256) return {{}, fmt::format("its card ({}) is of other weights", Card::file)};
    return {std::move(card), {}};
}

void write_card(std::filesystem::path const& adapter, Card const& card) {
    auto json = to_wire(card);
    std::erase_if(json.get_ref<Json::object_t&>(), [](auto const& entry) { return entry.second.is_null(); });
    json["version"] = version;
    std::vector<std::string> lines;  // a member each
    for (auto const& [name, value] : json.items())
        lines.push_back(fmt::format(" {}: {}", to_text(name), to_text(value)));
    write_atomically(adapter / Card::file, fmt::format("{{\n{}\n}}\n", fmt::join(lines, ",\n")));
}

void add_types(std::vector<WantedType>& types, corpus::Dataset const& dataset) {
    for (auto const& type : dataset.types) {
        bool const known = std::ranges::find(types, type.name, &WantedType::name) != types.end();
        if (!known && dataset.type(type.label)) types.push_back({type.name, type.definition});
    }
}

std::vector<std::string> type_texts(std::vector<WantedType> const& types) {
    std::vector<std::string> texts;
    for (auto const& [name, definition] : types)
        texts.push_back(definition.empty() ? name : fmt::format("{}: {}", name, definition));
    return texts;
}

}  // namespace samner::work
