#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace samner::weights {

/// A Perl-compatible regular expression over names of modules, with bounded matching effort.
class ModulePattern {
public:
    /// @throws InputError naming the expression and `place` when it is not valid
    ModulePattern(std::string const& expression, std::string_view place);
    ModulePattern(ModulePattern&&) noexcept;
    ModulePattern& operator=(ModulePattern&&) noexcept;
    ~ModulePattern();

    /// Whether the expression matches the whole name (Python's re.fullmatch).
    /// @throws InputError when matching takes too many steps
    bool matches(std::string_view name) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace samner::weights
