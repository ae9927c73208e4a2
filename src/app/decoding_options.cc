#include "app/decoding_options.h"

#include "app/shared_options.h"

namespace samner::app {

void add_decoding_options(CLI::App& verb, DecodingOptions& options) {
    add_target_options(verb, options.target);
    add_text_options(verb, options.text, "that of the cards, else ");
    verb.add_option("--max-new-tokens", options.infer.max_new_tokens, "hard stop")
        ->capture_default_str()
        ->check(at_least(1));
    verb.add_option("--num-slots", options.infer.num_slots, "sequences decoded together")
        ->capture_default_str()
        ->check(at_least(1));
}

}  // namespace samner::app
