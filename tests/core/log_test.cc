#include "core/log.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/file.h"
#include "temporary_folder.h"

namespace samner {
namespace {

std::string captured(auto const& work) {
    testing::internal::CaptureStderr();
    work();
    return testing::internal::GetCapturedStderr();
}

TEST(LiveLine, StaysBelowWhatIsLogged) {
    start_logging(0);
    EXPECT_EQ(captured([] { show_live_line("1/2"); }), "1/2");
    EXPECT_EQ(captured([] { spdlog::warn("one\ntwo"); }), "\r\x1b[Kone\ntwo\n1/2");
    EXPECT_EQ(captured([] { show_live_line("2/2"); }), "\r\x1b[K2/2");
    EXPECT_EQ(captured([] { show_live_line("2/2"); }), "") << "nothing has changed";
    EXPECT_EQ(captured([] { show_live_line({}); }), "\r\x1b[K");
    EXPECT_EQ(captured([] { spdlog::warn("three"); }), "three\n");
    EXPECT_EQ(captured([] { show_live_line({}); }), "");
}

TEST(LiveLine, IsNotInTheLogFile) {
    TemporaryFolder const folder;
    start_logging(0, folder / "log");
    captured([] {
        show_live_line("1/2");
        spdlog::warn("one");
        show_live_line({});
    });
    auto const text = read_text(folder / "log");
    EXPECT_NE(text.find("one"), std::string::npos);
    EXPECT_EQ(text.find("1/2"), std::string::npos);
    start_logging(0);
}

TEST(Terminal, IsThatOfTheLauncherWhereThereIsAPipeBetween) {
    captured([] {  // stderr is a file
        ::unsetenv("SAMNER_TERMINAL_COLUMNS");
        EXPECT_EQ(terminal_columns(), 0U);
        for (auto const& [text, columns] :
             {std::pair{"120", 120U}, {"0", 0U}, {"", 0U}, {"-3", 0U}, {"12x", 0U}, {"99999999999999999999", 0U}}) {
            ::setenv("SAMNER_TERMINAL_COLUMNS", text, 1);
            EXPECT_EQ(terminal_columns(), columns) << text;
        }
        ::setenv("SAMNER_TERMINAL_COLUMNS", "77", 1);
        pass_terminal_on();
        EXPECT_STREQ(std::getenv("SAMNER_TERMINAL_COLUMNS"), "77");
    });
    ::unsetenv("SAMNER_TERMINAL_COLUMNS");
}

}  // namespace
}  // namespace samner
