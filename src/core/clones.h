#pragma once

/// SAMNER_CLONES before a function compiles it for several instruction sets; the loader picks the widest that the
/// machine runs. For loops whose bits do not depend on it: elements are independent, and nothing is contracted into
/// fused operations. The build's baseline is SSE2. Sanitizers instrument the function that picks, which runs before
/// they are ready, so they get the baseline; so does clang, which names the instruction sets differently.
#if defined(__x86_64__) && defined(__ELF__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define SAMNER_HAS_CLONES 1
#define SAMNER_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SAMNER_HAS_CLONES 0
#define SAMNER_CLONES
#endif
