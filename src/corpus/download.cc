#include "corpus/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/file.h"
#include "core/stop.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;

/// One request, from the part's present end.
struct Transfer {
    CURL* curl;
    PartFile& part;
    DownloadOptions const& options;
    std::int64_t offset;
    bool kept;  ///< the bytes up to offset are still there
    std::exception_ptr error = {};

    void receive(std::string_view bytes) {
        long status = 0;
        ::curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (kept && status == 200) {  // the server cannot start in the middle and sends the whole file
            part.clear();
            kept = false;
            offset = 0;
        }
        part.append(bytes);
    }
};

std::size_t on_data(char* data, std::size_t, std::size_t size, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    try {
        transfer.receive({data, size});
        return size;
    } catch (...) {
        transfer.error = std::current_exception();
        return size + 1;  // tells libcurl to stop
    }
}

int on_progress(void* user, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(user);
    try {
        check_stop();
        if (transfer.options.progress)
            transfer.options.progress(transfer.part.size(), total > 0 ? transfer.offset + total : 0);
        return 0;
    } catch (...) {
        transfer.error = std::current_exception();
        return 1;
    }
}

struct CloseCurl {
    void operator()(CURL* curl) const noexcept { ::curl_easy_cleanup(curl); }
};

struct Outcome {
    CURLcode code;
    long status;  ///< of HTTP; 0 elsewhere
    std::string message;
    bool kept;
};

Outcome request(std::string const& url, PartFile& part, DownloadOptions const& options) {
    static auto const started = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    std::unique_ptr<CURL, CloseCurl> const curl{started == CURLE_OK ? ::curl_easy_init() : nullptr};
    if (!curl) throw Error{"libcurl does not start"};
    Transfer transfer{curl.get(), part, options, part.size(), part.size() > 0};
    std::array<char, CURL_ERROR_SIZE> message{};
    auto const set = [&](CURLoption option, auto value) {
        if (auto const code = ::curl_easy_setopt(curl.get(), option, value); code != CURLE_OK)
            throw Error{fmt::format("libcurl: {}", ::curl_easy_strerror(code))};
    };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https,file");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 10L);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "samner");
    set(CURLOPT_CONNECTTIMEOUT, 30L);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);  // bytes a second
    set(CURLOPT_LOW_SPEED_TIME, 60L);
    set(CURLOPT_ERRORBUFFER, message.data());
    set(CURLOPT_WRITEFUNCTION, &on_data);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
    auto const range = fmt::format("{}-", transfer.offset);
    if (transfer.kept) set(CURLOPT_RANGE, range.c_str());
    auto const code = ::curl_easy_perform(curl.get());
    if (transfer.error) std::rethrow_exception(transfer.error);
    long status = 0;
    ::curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    return {code, status, message[0] == '\0' ? ::curl_easy_strerror(code) : message.data(), transfer.kept};
}

/// There is nothing behind the part's end: it is whole, or longer than what is there now.
bool beyond_the_end(Outcome const& outcome) {
    return outcome.code == CURLE_BAD_DOWNLOAD_RESUME || outcome.code == CURLE_RANGE_ERROR ||
           (outcome.code == CURLE_HTTP_RETURNED_ERROR && outcome.status == 416);
}

bool unreachable(Outcome const& outcome) {
    return outcome.code == CURLE_COULDNT_RESOLVE_HOST || outcome.code == CURLE_COULDNT_RESOLVE_PROXY ||
           outcome.code == CURLE_COULDNT_CONNECT;
}

bool may_pass(Outcome const& outcome) {
    if (outcome.code == CURLE_HTTP_RETURNED_ERROR)
        return outcome.status >= 500 || outcome.status == 429 || outcome.status == 408;
    constexpr auto lost =
        std::to_array({CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING,
                       CURLE_OPERATION_TIMEDOUT, CURLE_SSL_CONNECT_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM});
    return unreachable(outcome) || std::ranges::find(lost, outcome.code) != lost.end();
}

void wait(std::chrono::milliseconds time) {
    for (auto const end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
        check_stop();
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
}

}  // namespace

PartFile::PartFile(fs::path path) : path_{std::move(path)} {
    std::error_code error;
    fs::create_directories(path_.parent_path(), error);
    // A process that had the lock may have renamed or removed the file since it was opened here: then open it anew.
    for (;;) {
        file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (file_ < 0) throw storage_error("create", path_);
        struct stat mine {};
        struct stat named {};
        bool const locked = ::flock(file_, LOCK_EX | LOCK_NB) == 0;
        bool const held = !locked && errno == EWOULDBLOCK;
        if (!held && ::fstat(file_, &mine) == 0 && ::stat(path_.c_str(), &named) == 0 && mine.st_ino == named.st_ino) {
            size_ = mine.st_size;
            return;
        }
        ::close(file_);
        if (held)
            throw Error{fmt::format("another process is downloading to '{}'", path_.string()), "wait until it is done"};
    }
}

PartFile::~PartFile() {
    if (size_ == 0) ::unlink(path_.c_str());  // while the lock is held
    ::close(file_);
}

void PartFile::append(std::string_view bytes) {
    while (!bytes.empty()) {
        auto const written = ::write(file_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw storage_error("write", path_);
        size_ += written;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void PartFile::clear() {
    if (::ftruncate(file_, 0) != 0) throw storage_error("empty", path_);
    size_ = 0;
}

bool download(std::string const& url, PartFile& part, DownloadOptions const& options) {
    bool kept = part.size() > 0;
    auto most = part.size();
    for (int failures = 0;;) {
        auto const outcome = request(url, part, options);
        kept = kept && outcome.kept;
        if (outcome.code == CURLE_OK) return kept;
        if (part.size() > 0 && beyond_the_end(outcome)) {
            part.clear();
            continue;
        }
        bool const progressed = part.size() > most;
        most = std::max(most, part.size());
        failures = progressed ? 1 : failures + 1;
        if (!may_pass(outcome) || failures >= options.attempts) {
            auto const what = fmt::format("cannot fetch {}: {}", url, outcome.message);
            if (unreachable(outcome))
                throw InfrastructureError{what, "check the network and https_proxy, or name a mirror"};
            throw Error{what, may_pass(outcome) ? "the same command goes on where it stopped"
                                                : "check the address, or name a mirror"};
        }
        if (!progressed) wait(std::chrono::seconds{1} * (1 << std::min(failures - 1, 4)));
    }
}

std::string url_path(std::string_view path) {
    std::string result;
    for (char const c : path) {
        bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view{"-._~/"}.find(c) != std::string_view::npos;
        result += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return result;
}

}  // namespace samner::corpus
