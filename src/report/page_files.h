#pragma once

#include <string_view>

namespace samner::report {

/// The files page.html, page.css and page.js, as the build has put them into the program.
extern std::string_view const page_html;
extern std::string_view const page_css;
extern std::string_view const page_js;

}  // namespace samner::report
