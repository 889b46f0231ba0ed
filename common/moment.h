/* moment.h - time, and the wish to stop that a signal expresses. */
#ifndef REELWRIGHT_MOMENT_H
#define REELWRIGHT_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

int64_t moment_ms(void);    /* never jumps: for limits and durations */
double moment_s(void);      /* the same in seconds, with all digits that the clock has */
double moment_wall_s(void); /* seconds since 1970: for people and other machines */
/* How long that is, for people: "2.3 s", "42 s", "10:09 min", "7:05 h"; INFINITY: "never". -> text */
const char *moment_length(double s, char text[32]);
void moment_sleep_ms(int ms); /* a signal ends it early */

/* From now on SIGTERM, SIGUSR1 and SIGINT are counted instead of ending the process. */
void moment_catch_stops(void);
int moment_stops(void); /* how many so far */

#endif
