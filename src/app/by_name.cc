#include "app/by_name.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <string>

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// A name as that of one folder.
std::string folder_name(std::string const& name) {
    std::string text;
    for (auto const c : name) {
        bool const plain = c != '/' && c != '%' && static_cast<unsigned char>(c) >= 0x20;
        text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return text == "." || text == ".." ? "%2E" + text.substr(1) : text;
}

class Links {
public:
    Links(fs::path root, plan::Plan const& plan) : root_{std::move(root)}, plan_{plan} {}

    void add(plan::Cell const& cell) const {
        auto folder = fs::path{folder_name(cell.experiment)} / folder_name(cell.system) / folder_name(cell.target);
        if (plan_.run().repeats.size() > 1) folder /= fmt::format("seed-{}", cell.repeat.label);
        if (cell.trial > 0) folder /= fmt::format("trial-{}", cell.trial);
        int pass = 0;
        for (auto const& key : cell.answer.passes()) {
            link(folder, fmt::format("predictions-{}.jsonl", ++pass), key);
            auto const& infer = std::get<work::Infer>(plan_.task(key).task);
            if (infer.adapter) link(folder, fmt::format("adapter-{}", pass), infer.adapter->key);
        }
        int selection = 0;
        for (auto const& key : cell.selections) link(folder, fmt::format("selection-{}.json", ++selection), key);
    }

private:
    void link(fs::path const& folder, std::string const& name, std::string const& key) const {
        if (!plan_.is_done(key)) return;
        fs::create_directories(root_ / folder);
        fs::path up;
        for (auto const& part : folder) {
            static_cast<void>(part);
            up /= "..";
        }
        fs::create_symlink(up / ".." / "artifacts" / key, root_ / folder / name);
    }

    fs::path root_;
    plan::Plan const& plan_;
};

}  // namespace

void link_by_name(fs::path const& run, plan::Plan const& plan) {
    auto const fresh = run / ".by-name.partial";
    auto const old = run / ".by-name.old.partial";
    try {
        fs::remove_all(fresh);
        fs::remove_all(old);
        fs::create_directories(fresh);
        Links const links{fresh, plan};
        for (auto const& cell : plan.cells()) links.add(cell);
        if (fs::exists(run / "by-name")) fs::rename(run / "by-name", old);
        fs::rename(fresh, run / "by-name");
        fs::remove_all(old);
    } catch (fs::filesystem_error const& error) {
        spdlog::warn("cannot make the links of '{}': {}", (run / "by-name").string(), error.what());
    }
}

}  // namespace samner::app
