/* bench_finish.h - `reelwright bench --stage finish`: what one clip's finish costs a core, and where it goes. */
#ifndef REELWRIGHT_BENCH_FINISH_H
#define REELWRIGHT_BENCH_FINISH_H

#include "common/status.h"

/* argv as verb_bench gets it, with --stage finish in it. */
Status bench_finish(int argc, char **argv);

#endif
