#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace samner::train {

/// A file of scalars that TensorBoard shows (TFRecord framing, tensorflow.Event messages). Its name has to contain
/// `tfevents` for TensorBoard to find it.
class EventFile {
public:
    /// Starts the file afresh. @param wall_time  seconds since 1970. @throws StorageError
    EventFile(std::filesystem::path path, double wall_time);

    /// Adds the values of one step, by tag, and hands them to the system. @throws StorageError
    void add(double wall_time, std::int64_t step, std::vector<std::pair<std::string_view, double>> const& scalars);

private:
    void write(std::string const& event);

    std::filesystem::path path_;
    std::ofstream file_;
};

}  // namespace samner::train
