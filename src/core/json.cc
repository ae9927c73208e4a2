#include "core/json.h"

#include <fmt/ranges.h>

#include <set>
#include <vector>

#include "core/file.h"
#include "core/yaml.h"

namespace samner {

Json parse_json(std::string_view text, std::string_view place) {
    constexpr int max_depth = 128;
    std::vector<std::set<std::string>> keys;
    auto const check = [&](int depth, Json::parse_event_t event, Json& parsed) {
        using Event = Json::parse_event_t;
        if (depth > max_depth) throw InputError{fmt::format("JSON nested deeper than {} ({})", max_depth, place)};
        if (event == Event::object_start) keys.emplace_back();
        if (event == Event::object_end) keys.pop_back();
        if (event == Event::key && !keys.back().insert(parsed.get_ref<std::string const&>()).second) {
            throw InputError{
                fmt::format("key '{}' stands twice in one JSON object ({})", parsed.get<std::string>(), place)};
        }
        return true;
    };
    try {
        return Json::parse(text, check);
    } catch (Json::parse_error const& error) {
        if (std::string_view{error.what()}.find("ill-formed UTF-8") != std::string_view::npos)
            throw InputError{fmt::format("not valid UTF-8 at byte {} ({})", error.byte, place), "convert it to UTF-8"};
        throw InputError{fmt::format("not valid JSON at byte {} ({})", error.byte, place), "mend or replace the file"};
    } catch (Json::out_of_range const&) {
        throw InputError{fmt::format("JSON with a number that is too large ({})", place), "mend or replace the file"};
    }
}

Json read_json(std::filesystem::path const& path) {
    return parse_json(MappedFile{path}.text(), path.string());
}

std::string canonical(Json const& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::strict);
}

void for_each_jsonl(std::filesystem::path const& path,
                    std::function<void(Json const&, std::string const&)> const& visit) {
    MappedFile const file{path};
    for_each_line(file.text(), [&](std::string_view line, std::size_t number) {
        if (line.find_first_not_of(" \t") == std::string_view::npos) return;
        auto const place = fmt::format("{}:{}", path.string(), number);
        auto const object = parse_json(line, place);
        if (!object.is_object()) throw InputError{fmt::format("line is not a JSON object ({})", place)};
        visit(object, place);
    });
}

namespace {

/// The known name that one is near to, or all behind `otherwise`.
std::string remedy_of(std::string_view name, std::vector<std::string> const& known, std::string_view otherwise) {
    auto const near = did_you_mean(name, known);
    return near ? fmt::format("did you mean {}?", *near) : fmt::format("{} {}", otherwise, fmt::join(known, ", "));
}

}  // namespace

std::string const& Places::of(std::string const& member) const {
    auto const found = members_.find(member.substr(0, member.find('.')));
    return found == members_.end() ? whole_ : found->second;
}

void refuse_unknown(Json const& object, std::set<std::string> const& known, std::string_view what, Places const& places,
                    std::span<Key const> table) {
    for (auto const& [key, value] : object.items()) {
        if (known.contains(key)) continue;
        auto const meant = known_as(table, key);
        throw InputError{fmt::format("unknown {} {} ({})", what, key, places.of(key)),
                         meant.empty() ? remedy_of(key, {known.begin(), known.end()}, "known:")
                                       : fmt::format("did you mean {}?", meant)};
    }
}

void refuse_name(std::string_view name, std::vector<std::string> const& known, std::string_view what,
                 std::string_view place) {
    throw InputError{fmt::format("{} is '{}' ({})", what, name, place), remedy_of(name, known, "use")};
}

std::string to_text(Json const& value, int indent) {
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string id_of(Json const& line, std::string_view place) {
    auto const id = member<Json>(line, "id", place);
    return id.is_string() ? id.get<std::string>() : id.dump();
}

}  // namespace samner
