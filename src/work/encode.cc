#include "work/encode.h"

#include <fmt/format.h>

namespace samner::work {

std::string Encode::label() const {
    struct Name {
        std::string operator()(Recipe const& recipe) const { return recipe.name(); }
        std::string operator()(Texts const& texts) const { return texts.name(); }
        std::string operator()(Known const& known) const { return known.expert; }
        std::string operator()(Types const& types) const { return fmt::format("types of {}", types.owner); }
    };
    return fmt::format("encode {}", std::visit(Name{}, of));
}

}  // namespace samner::work
