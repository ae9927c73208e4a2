#pragma once

#include "comm/comm.h"

namespace samner {

/// The session of a test that runs on several ranks (mpi_test_main.cc opened it).
comm::Session& mpi_session();

}  // namespace samner
