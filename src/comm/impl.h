#pragma once

#include <mpi.h>

#include <string_view>

#include "comm/comm.h"

// For the sources of this module only: nobody else sees mpi.h.
namespace samner::comm {

struct Comm::Impl {
    MPI_Comm handle = MPI_COMM_NULL;
    int rank = 0;
    int size = 1;

    explicit Impl(MPI_Comm taken);
    Impl(Impl const&) = delete;
    Impl& operator=(Impl const&) = delete;
    ~Impl();
};

/// @throws InfrastructureError when code is not MPI_SUCCESS
void check_mpi(int code, std::string_view call);

}  // namespace samner::comm
