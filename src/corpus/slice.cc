#include "corpus/slice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace samner::corpus {
namespace {

std::string text_of(std::optional<Slice::Bound> const& bound) {
    return bound ? fmt::format("{}{}", bound->value, bound->percent ? "%" : "") : "";
}

std::int64_t position(Slice::Bound const& bound, std::int64_t sentences) {
    auto at = bound.value;
    if (bound.percent) {
        auto const part = bound.value * sentences;
        at = (part + (part < 0 ? -50 : 50)) / 100;
    }
    return std::clamp<std::int64_t>(at < 0 ? sentences + at : at, 0, sentences);
}

}  // namespace

std::pair<std::int64_t, std::int64_t> Slice::of(std::int64_t sentences) const {
    auto const begin = from ? position(*from, sentences) : 0;
    auto const end = to ? position(*to, sentences) : sentences;
    return {begin, std::max(begin, end)};
}

std::string Slice::text() const {
    return whole() ? "" : fmt::format("[{}:{}]", text_of(from), text_of(to));
}

Slice parse_slice(std::string_view text) {
    auto const refuse = [&] {
        throw InputError{fmt::format("'{}' is no split", text),
                         "write its name, or a part of it as in train[:80%], all[90%:] or dev[100:200]"};
    };
    auto const open = text.find('[');
    if (open == std::string_view::npos) return {std::string{text}};
    if (open == 0 || text.back() != ']') refuse();
    auto const inside = text.substr(open + 1, text.size() - open - 2);
    auto const colon = inside.find(':');
    if (colon == std::string_view::npos) refuse();
    auto const bound = [&](std::string_view part) -> std::optional<Slice::Bound> {
        if (part.empty()) return std::nullopt;
        Slice::Bound result;
        result.percent = part.back() == '%';
        if (result.percent) part.remove_suffix(1);
        constexpr std::int64_t largest = 1'000'000'000;
        auto const [end, error] = std::from_chars(part.data(), part.data() + part.size(), result.value);
        if (error != std::errc{} || end != part.data() + part.size() || std::abs(result.value) > largest ||
            (result.percent && std::abs(result.value) > 100))
            refuse();
        return result;
    };
    Slice const slice{std::string{text.substr(0, open)}, bound(inside.substr(0, colon)),
                      bound(inside.substr(colon + 1))};
    constexpr std::int64_t many = 1'000'000'000;
    bool const comparable = !slice.from || !slice.to ||
                            (slice.from->percent == slice.to->percent && (slice.from->value < 0) == (slice.to->value < 0));
    auto const [begin, end] = slice.of(many);
    if (comparable && begin == end)
        throw InputError{fmt::format("'{}' is empty: it ends where it begins, or before", text),
                         "write the beginning before the end, as in train[80%:]"};
    return slice;
}

}  // namespace samner::corpus
