#pragma once

#include <map>
#include <string>
#include <string_view>

namespace samner::plan {

/// What docs/experiments.md says of the language and of the files, by the names of the page's sections, made from the
/// tables that reading and checking use. Markdown, in lines of 100 columns.
std::map<std::string, std::string> reference_sections();

/// A page in which what stands between `<!-- generated: NAME -->` and `<!-- end -->` is that section.
/// @throws InputError for a section that is not known, is not there or does not end
std::string with_reference(std::string_view page);

}  // namespace samner::plan
