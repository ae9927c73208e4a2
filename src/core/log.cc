#include "core/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>
#include <vector>

#include "core/error.h"

namespace samner {

void start_logging(int rank, std::filesystem::path const& file) {
    std::vector<spdlog::sink_ptr> sinks;
    if (rank == 0) {
        sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
        sinks.back()->set_pattern("%v");
    }
    if (!file.empty()) {
        try {
            sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()));
        } catch (spdlog::spdlog_ex const& error) {
            throw StorageError{fmt::format("cannot write the log '{}': {}", file.string(), error.what()),
                               "check free space and permissions"};
        }
        sinks.back()->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    }
    auto logger = std::make_shared<spdlog::logger>("samner", sinks.begin(), sinks.end());
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace samner
