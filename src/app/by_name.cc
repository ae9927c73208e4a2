#include "app/by_name.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <map>
#include <string>

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// What each link leads to, by its path below RUN/by-name.
using Links = std::map<fs::path, fs::path>;

void add_link(Links& links, plan::Plan const& plan, fs::path const& folder, std::string const& name,
              std::string const& key) {
    if (!plan.is_done(key)) return;
    fs::path up;
    for (auto const& part : folder) {
        static_cast<void>(part);
        up /= "..";
    }
    links.emplace(folder / name, up / ".." / "artifacts" / key);
}

void add_links(Links& links, plan::Plan const& plan, plan::Cell const& cell) {
    auto folder = fs::path{folder_name(cell.experiment)} / folder_name(cell.system) / folder_name(cell.target);
    if (plan.run().repeats.size() > 1) folder /= fmt::format("seed-{}", cell.repeat.label);
    if (cell.trial > 0) folder /= fmt::format("trial-{}", cell.trial);
    int pass = 0;
    for (auto const& key : cell.answer.passes()) {
        add_link(links, plan, folder, fmt::format("predictions-{}.jsonl", ++pass), key);
        auto const& infer = std::get<work::Infer>(plan.task(key).task);
        if (infer.adapter) add_link(links, plan, folder, fmt::format("adapter-{}", pass), infer.adapter->key);
        if (!infer.delta) continue;
        int merged = 0;
        for (auto const& adapter : infer.delta->adapters)
            add_link(links, plan, folder, fmt::format("adapter-{}.{}", pass, ++merged), adapter.key);
    }
    int selection = 0;
    for (auto const& key : cell.selections)
        add_link(links, plan, folder, fmt::format("selection-{}.json", ++selection), key);
}

/// Whether a folder holds these links and nothing else. Removing thousands of them takes long on some disks.
bool holds(fs::path const& root, Links const& links) {
    if (!fs::is_directory(fs::symlink_status(root))) return false;
    std::size_t found = 0;
    for (auto const& entry : fs::recursive_directory_iterator{root}) {
        if (!entry.is_symlink()) {
            if (entry.is_directory()) continue;
            return false;
        }
        auto const wanted = links.find(entry.path().lexically_relative(root));
        if (wanted == links.end() || fs::read_symlink(entry.path()) != wanted->second) return false;
        ++found;
    }
    return found == links.size();
}

}  // namespace

std::string folder_name(std::string const& name) {
    std::string text;
    for (auto const c : name) {
        bool const plain = c != '/' && c != '%' && static_cast<unsigned char>(c) >= 0x20;
        text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return text == "." || text == ".." ? "%2E" + text.substr(1) : text;
}

void link_by_name(fs::path const& run, plan::Plan const& plan) {
    auto const fresh = run / ".by-name.partial";
    auto const old = run / ".by-name.old.partial";
    try {
        fs::remove_all(fresh);
        fs::remove_all(old);
        Links links;
        for (auto const& cell : plan.cells()) add_links(links, plan, cell);
        if (holds(run / "by-name", links)) return;
        fs::create_directories(fresh);
        for (auto const& [path, leads_to] : links) {
            fs::create_directories((fresh / path).parent_path());
            fs::create_symlink(leads_to, fresh / path);
        }
        if (fs::exists(run / "by-name")) fs::rename(run / "by-name", old);
        fs::rename(fresh, run / "by-name");
        fs::remove_all(old);
    } catch (fs::filesystem_error const& error) {
        spdlog::warn("cannot make the links of '{}': {}", (run / "by-name").string(), error.what());
    }
}

}  // namespace samner::app
