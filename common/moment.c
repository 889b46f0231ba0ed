#include "moment.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

static volatile sig_atomic_t stops;

int64_t moment_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

double moment_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double moment_wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *moment_length(double s, char text[32])
{
    const int64_t whole = isfinite(s) && fabs(s) < 1e15 ? (int64_t)(s + 0.5) : 0, minutes = (whole + 30) / 60;
    if (!isfinite(s))
        snprintf(text, 32, "never");
    else if (whole < 100)
        snprintf(text, 32, s < 9.95 ? "%.1f s" : "%.0f s", s);
    else if (whole < 3600)
        snprintf(text, 32, "%lld:%02lld min", (long long)whole / 60, (long long)whole % 60);
    else
        snprintf(text, 32, "%lld:%02lld h", (long long)minutes / 60, (long long)minutes % 60);
    return text;
}

void moment_sleep_ms(int ms)
{
    struct timespec nap = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&nap, NULL);
}

static void note_stop(int number)
{
    (void)number;
    if (stops < 100) stops = stops + 1;
}

void moment_catch_stops(void)
{
    /* without SA_RESTART: waits end early, so that the stop is seen at once */
    struct sigaction action = {.sa_handler = note_stop};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

int moment_stops(void) { return stops; }
