#include "corpus/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include <map>
#include <memory>

#include "core/error.h"

namespace samner::corpus {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 30;

struct CloseArchive {
    void operator()(::archive* archive) const noexcept { ::archive_read_free(archive); }
};

}  // namespace

std::string read_archive(std::filesystem::path const& path, std::string const& pattern) {
    std::unique_ptr<::archive, CloseArchive> const archive{::archive_read_new()};
    if (!archive) throw Error{"libarchive does not start"};
    auto const fail = [&] {
        auto const* const why = ::archive_error_string(archive.get());
        throw Error{fmt::format("'{}' is no whole archive: {}", path.string(), why ? why : "unknown error")};
    };
    auto const check = [&](auto result) {
        if (result < ARCHIVE_WARN) fail();
        return result;
    };
    for (auto* const support :
         {&::archive_read_support_format_zip, &::archive_read_support_format_tar, &::archive_read_support_format_raw,
          &::archive_read_support_filter_gzip, &::archive_read_support_filter_bzip2, &::archive_read_support_filter_xz})
        check(support(archive.get()));
    check(::archive_read_open_filename(archive.get(), path.c_str(), 1 << 16));

    std::map<std::string, std::string> files;
    std::size_t total = 0;
    ::archive_entry* entry = nullptr;
    while (check(::archive_read_next_header(archive.get(), &entry)) != ARCHIVE_EOF) {
        auto const* const name = ::archive_entry_pathname(entry);
        bool const file = ::archive_entry_filetype(entry) == AE_IFREG;
        if (!name || !file || ::fnmatch(pattern.c_str(), name, 0) != 0) continue;
        auto& bytes = files[name];
        char buffer[1 << 16];
        for (;;) {
            auto const count = ::archive_read_data(archive.get(), buffer, sizeof buffer);
            // A warning here is of data that are not right either, such as those of another checksum.
            if (count < 0) fail();
            if (count == 0) break;
            bytes.append(buffer, static_cast<std::size_t>(count));
            total += static_cast<std::size_t>(count);
            if (total > most_bytes) throw Error{fmt::format("'{}' holds more than a gibibyte", path.string())};
        }
    }
    if (files.empty()) throw Error{fmt::format("'{}' holds no file '{}'", path.string(), pattern)};
    std::string joined;
    joined.reserve(total);
    for (auto const& [name, bytes] : files) joined += bytes;
    return joined;
}

}  // namespace samner::corpus
