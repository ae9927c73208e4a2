#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace samner::token {

/// A regular expression of a tokenizer.json, matched as the reference's engine (Oniguruma, Ruby syntax) does, by
/// PCRE2 with UTF and UCP. What the two engines read differently is refused: nested classes, `&&` in a class, `\h`.
/// Const members may be called from several threads at once.
class Regex {
public:
    enum class Syntax { pattern, literal };

    /// @param place  named in messages
    /// @throws InputError when it is not a valid expression
    Regex(std::string_view pattern, Syntax syntax, std::string_view place);
    Regex(Regex&&) noexcept;
    Regex& operator=(Regex&&) noexcept;
    ~Regex();

    /// Cuts `text` (valid UTF-8) into the matches and what lies between them, in order, none empty.
    /// @throws InputError when matching exceeds PCRE2's limits
    void split(std::string_view text, std::function<void(std::string_view)> const& piece) const;

private:
    struct Impl;
    std::unique_ptr<Impl const> impl_;
};

}  // namespace samner::token
