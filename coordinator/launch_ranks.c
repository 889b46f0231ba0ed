#include "launch_ranks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/moment.h"
#include "common/outcome.h"
#include "coordinator/launch.h"
#include "coordinator/launch_command.h"

enum { LOOK_MS = 100, LINE_BYTES = 8192 };

typedef struct {
    pid_t child;
    int errors; /* its stderr */
    char line[LINE_BYTES];
    size_t bytes;
    char other[512]; /* what mpirun said first: shown when no rank started */
    int told;        /* stops passed on */
} Ranks;

/* Lines of reelwright's own are for people, but for a rank's last words, which outcome.h has; mpirun's are kept. */
static void take_line(Ranks *r)
{
    static const char own[] = "reelwright: ";
    r->line[r->bytes] = 0;
    r->bytes = 0;
    const bool is_own = strncmp(r->line, own, sizeof own - 1) == 0;
    if (is_own && !strstr(r->line, "error: ") && !strstr(r->line, ": stopped: "))
        fprintf(stderr, "%s\n", r->line);
    else if (!is_own && strspn(r->line, "- ") < strlen(r->line) && !*r->other)
        snprintf(r->other, sizeof r->other, "%s", r->line);
}

static void take_errors(Ranks *r, int wait_ms)
{
    struct pollfd p = {.fd = r->errors, .events = POLLIN};
    char piece[4096];
    poll(&p, 1, wait_ms);
    for (ssize_t n; (n = read(r->errors, piece, sizeof piece)) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] == '\n' || r->bytes == LINE_BYTES - 1) take_line(r);
            if (piece[i] != '\n') r->line[r->bytes++] = piece[i];
        }
    if (p.revents & POLLHUP) moment_sleep_ms(wait_ms); /* closed: poll no longer waits */
}

static Status start(Ranks *r, int ranks, char *const *arguments)
{
    char self[4096];
    int ends[2];
    Hosts here = {0};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return status_errno(ERR_NODE, "/proc/self/exe");
    self[n] = 0;
    if (launch_command_need_home() != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return status_errno(ERR_NODE, "cannot make a pipe");
    const LaunchOptions o = {.hosts = &here, .workers = ranks - 1, .arguments = arguments};
    char **command = launch_command_new(&o, self);
    fflush(NULL);
    r->child = fork();
    if (r->child == 0) launch_command_become(command, STDOUT_FILENO, ends[1]);
    launch_command_free(&command);
    close(ends[1]);
    r->errors = ends[0];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return r->child < 0 ? status_errno(ERR_NODE, "cannot start a process") : status_ok();
}

/* mpirun passes SIGUSR1 on to every rank; SIGTERM ends them. */
static void pass_stops_on(Ranks *r)
{
    const int stops = moment_stops();
    if (stops == r->told) return;
    kill(r->child, r->told == 0 ? SIGUSR1 : SIGTERM);
    r->told = stops;
}

Status launch_ranks(int ranks, char *const *arguments)
{
    Ranks r = {.errors = -1};
    char *outcome;
    int how = 0;
    moment_catch_stops();
    TRY(outcome_begin(&outcome));
    Status status = start(&r, ranks, arguments);
    if (failed(status)) {
        unlink(outcome);
        free(outcome);
        return status;
    }
    for (;;) {
        pid_t gone = waitpid(r.child, &how, WNOHANG);
        if (gone == r.child || (gone < 0 && errno == ECHILD)) break;
        take_errors(&r, LOOK_MS);
        pass_stops_on(&r);
    }
    take_errors(&r, 0);
    if (r.bytes) take_line(&r);
    close(r.errors);
    status = outcome_end(&outcome, r.other);
    return failed(status) && r.told > 1 ? status_fail(ERR_STOP, "by a second signal") : status;
}
