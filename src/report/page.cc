#include "report/page.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "core/error.h"
#include "report/packed.h"
#include "report/page_data.h"
#include "report/page_files.h"

namespace samner::report {
namespace {

/// Each target's sentences on a line, in the order of View::targets.
std::string blocks_of(View const& view) {
    std::string lines;
    for (std::size_t i = 0; i < view.targets.size(); ++i) lines += packed(to_text(sentences_of(view, i))) + "\n";
    return lines;
}

/// A text with `@name@` replaced by what stands for it.
std::string filled(std::string_view text, std::map<std::string_view, std::string_view> const& parts) {
    std::string result;
    for (auto rest = text; !rest.empty();) {
        auto const mark = rest.substr(0, rest.find('@'));
        result += mark;
        rest.remove_prefix(mark.size());
        if (rest.empty()) break;
        auto const end = rest.find('@', 1);
        auto const found = end == rest.npos ? parts.end() : parts.find(rest.substr(1, end - 1));
        if (found == parts.end()) throw Error{fmt::format("page.html has no part for '{}'", rest.substr(0, 20))};
        result += found->second;
        rest.remove_prefix(end + 1);
    }
    return result;
}

}  // namespace

std::string page_of(View const& view) {
    auto const data = embedded(data_of(view));
    auto const sentences = blocks_of(view);
    return filled(page_html, {{"style", page_css}, {"data", data}, {"sentences", sentences}, {"script", page_js}});
}

}  // namespace samner::report
