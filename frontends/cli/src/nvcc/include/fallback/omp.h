// OpenMP of one thread, for programs built without -fopenmp where the compiler's own header is not installed.
#ifndef GIRIH_OMP_H
#define GIRIH_OMP_H
#ifdef _OPENMP
#error "OpenMP's header is not installed (Debian, Ubuntu: apt-get install libomp-dev)"
#endif
#include <time.h>

static inline int omp_get_thread_num(void) { return 0; }
static inline int omp_get_num_threads(void) { return 1; }
static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_num_procs(void) { return 1; }
static inline void omp_set_num_threads(int n) { (void)n; }
static inline double omp_get_wtime(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
#endif
