#include "app/launch.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "core/stop.h"

extern char** environ;

namespace samner::app {
namespace {

/// What this program was called with, without -n and its number.
std::vector<std::string> arguments_without_ranks() {
    std::ifstream file{"/proc/self/cmdline", std::ios::binary};
    std::vector<std::string> words;
    std::string word;
    std::getline(file, word, '\0');  // the program
    while (std::getline(file, word, '\0')) {
        if (word == "-n") {
            std::getline(file, word, '\0');
        } else if (!(word.starts_with("-n") && word.find_first_not_of("=0123456789", 2) == std::string::npos)) {
            words.push_back(word);
        }
    }
    return words;
}

}  // namespace

bool is_launched_as_rank() {
    for (auto const* const* variable = environ; *variable != nullptr; ++variable) {
        std::string_view const text{*variable};
        for (auto const* prefix : {"OMPI_COMM_WORLD_", "PMIX_", "PMI_"})
            if (text.starts_with(prefix)) return true;
    }
    return false;
}

int launch_ranks(int ranks) {
    std::vector<std::string> words{"mpirun",          "--quiet",   "-n",  std::to_string(ranks),
                                   "--oversubscribe", "--bind-to", "none"};
    if (::geteuid() == 0) words.emplace_back("--allow-run-as-root");
    words.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
    std::ranges::move(arguments_without_ranks(), std::back_inserter(words));
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    // A group of its own: Ctrl-C on the terminal reaches this process only, which then asks the ranks to stop.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    pass_terminal_on();
    end_by_oneself();  // after the ranks
    pid_t child = 0;
    int const error = ::posix_spawnp(&child, "mpirun", nullptr, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    if (error != 0)
        throw InputError{fmt::format("cannot start mpirun: {}", std::strerror(error)),
                         "install OpenMPI, or leave out -n"};

    bool told = false;
    auto next = std::chrono::steady_clock::now();
    for (;;) {
        int status = 0;
        auto const ended = ::waitpid(child, &status, WNOHANG);
        if (ended < 0 && errno != EINTR)
            throw InfrastructureError{fmt::format("cannot wait for mpirun: {}", std::strerror(errno))};
        if (ended == child) {
            int const code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            // 128 + USR1: it reached mpirun or a rank that had no handler yet.
            if (code == 128 + SIGKILL)
                throw InfrastructureError{"a rank was killed (SIGKILL): by hand, by its batch system, or for memory",
                                          "run the same command again to go on"};
            bool const stopped = code == static_cast<int>(ExitCode::stopped) || (told && code == 128 + SIGUSR1);
            if (!stopped) return code;
            return static_cast<int>(stop_signal() == SIGINT ? ExitCode::interrupted : ExitCode::stopped);
        }
        // Again and again: mpirun may not have ranks yet to pass it on to.
        auto const now = std::chrono::steady_clock::now();
        if (stop_signal() != 0 && now >= next) {
            told = true;
            next = now + std::chrono::seconds{1};
            ::kill(child, SIGUSR1);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
}

}  // namespace samner::app
