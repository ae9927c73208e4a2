#include "train/step.h"

namespace samner::train {

Json Step::to_json() const {
    return {{"step", step},       {"loss", loss}, {"grad_norm", grad_norm}, {"lr", lr}, {"tokens", tokens},
            {"seconds", seconds}, {"mfu", mfu}};
}

Step Step::from_json(Json const& object, std::string_view place) {
    return {member<std::int64_t>(object, "step", place),
            member<double>(object, "loss", place),
            member<double>(object, "grad_norm", place),
            member<double>(object, "lr", place),
            member<std::int64_t>(object, "tokens", place),
            member<double>(object, "seconds", place),
            object.contains("mfu") ? member<double>(object, "mfu", place) : 0};  // earlier checkpoints have none
}

}  // namespace samner::train
