/* moment.h - time, and the wish to stop that a signal expresses. */
#ifndef REELWRIGHT_MOMENT_H
#define REELWRIGHT_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

int64_t moment_ms(void);      /* never jumps: for limits and durations */
double moment_s(void);        /* the same in seconds, with all digits that the clock has */
double moment_wall_s(void);   /* seconds since 1970: for people and other machines */
void moment_sleep_ms(int ms); /* a signal ends it early */

/* From now on SIGTERM, SIGUSR1 and SIGINT are counted instead of ending the process. */
void moment_catch_stops(void);
int moment_stops(void); /* how many so far */

#endif
