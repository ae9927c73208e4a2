#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "core/file.h"
#include "report/page.h"
#include "sample_view.h"

/// Writes a page of a made-up run. Usage: report_sample_page OUT.html [SYSTEMS SENTENCES]
int main(int argc, char** argv) {
    using namespace samner;
    if (argc != 2 && argc != 4) {
        fmt::print(stderr, "usage: report_sample_page OUT.html [SYSTEMS SENTENCES]\n");
        return 2;
    }
    auto const view = argc == 2 ? report::full_view() : report::large_view(std::stoul(argv[2]), std::stoul(argv[3]));
    write_atomically(argv[1], report::page_of(view));
}
