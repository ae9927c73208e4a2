#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/fields.h"

namespace samner::work {

struct Imported {
    static constexpr std::string_view kind = "import";
    std::int64_t modules = 0;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("modules", self.modules);
    }
};

/// Takes an adapter that exists for an expert: its PEFT folder.
struct Import {
    using Result = Imported;
    static constexpr std::string_view kind = "import";
    static constexpr int revision = 1;

    std::string sha256;  ///< of the adapter (weights::adapter_hash)
    std::string folder;  ///< where it lies
    std::string expert;  ///< its name in the run file

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("sha256", self.sha256);
        visit("folder", self.folder, no_influence);
        visit("expert", self.expert, no_influence);
    }
    std::string label() const { return "import " + expert; }
    int width() const { return 1; }
    std::int64_t size() const { return 1; }
};

}  // namespace samner::work
