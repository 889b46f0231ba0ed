#include "mpirun.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "coordinator/launch/launch_command.h"

enum { KILL_MS = 5000 }; /* between SIGTERM and SIGKILL */

Status mpirun_start(Mpirun *m, const LaunchOptions *o, const char *program)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return status_errno(ERR_FATAL, "cannot make a pipe");
    char **command = launch_command_new(o, program), **environment = launch_command_environment();
    fflush(NULL);
    const pid_t self = getpid();
    m->child = fork();
    if (m->child == 0)
        launch_command_become(command, environment, self, m->errors_only ? STDOUT_FILENO : ends[1], ends[1]);
    launch_command_free(&command);
    launch_command_free(&environment);
    close(ends[1]);
    if (m->child < 0) {
        m->child = 0;
        close(ends[0]);
        return status_errno(ERR_FATAL, "cannot start a process");
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    m->output = ends[0];
    m->output_closed = false;
    m->ended = pidfd_open(m->child, 0); /* -1 where the kernel has none: its end is then seen at the next look */
    m->started_ms = moment_ms();
    m->line_bytes = 0;
    m->term_ms = 0;
    m->death.at_ms = 0;
    m->killed = false;
    return status_ok();
}

/* "[n1:7] [prterun-n1-7@0,0] errmgr:dvm: for proc [prterun-n1-7@1,2] state ABORTED BY SIGNAL"; its own daemons are job 0. */
static void note_death(Mpirun *m)
{
    static const char before[] = "errmgr:dvm: for proc [";
    const char *proc = strstr(m->line, before);
    int rank;
    char how[sizeof m->death.how];
    if (!proc || m->death.at_ms || sscanf(proc + sizeof before - 1, "%*[^@]@1,%d] state %31[^\n]", &rank, how) != 2)
        return;
    m->death.at_ms = moment_ms();
    m->death.rank = rank;
    memcpy(m->death.how, how, sizeof how);
}

static void take_line(Mpirun *m)
{
    m->line[m->line_bytes] = 0;
    m->line_bytes = 0;
    note_death(m);
    m->take(m->self, m->line);
}

/* Waits for output or for its end: without the latter each campaign would end up to a look later than it could. */
static void take_output(Mpirun *m, int wait_ms)
{
    struct pollfd p[] = {{.fd = m->output_closed ? -1 : m->output, .events = POLLIN},
                         {.fd = m->ended, .events = POLLIN}};
    char piece[4096];
    poll(p, 2, wait_ms);
    for (ssize_t n; (n = read(m->output, piece, sizeof piece)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] == '\n' || m->line_bytes == MPIRUN_LINE_BYTES - 1) take_line(m);
            if (piece[i] != '\n') m->line[m->line_bytes++] = piece[i];
        }
    }
    if (p[0].revents & POLLHUP) m->output_closed = true; /* poll would wait for it no longer */
}

/* The folder of its session, which an mpirun that was killed leaves behind. */
static void remove_session(pid_t gone)
{
    const char *place = getenv("TMPDIR");
    char *folder = text_format("%s/ompi.%d", place && *place ? place : "/tmp", (int)gone);
    struct stat st;
    if (lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid()) file_remove_tree(folder);
    free(folder);
}

bool mpirun_listen(Mpirun *m, int wait_ms)
{
    pid_t gone = waitpid(m->child, &m->how, WNOHANG);
    const bool over = gone == m->child || (gone < 0 && errno == ECHILD);
    take_output(m, over ? 0 : wait_ms);
    if (!over) return true;
    if (m->line_bytes) take_line(m);
    close(m->output);
    if (m->ended >= 0) close(m->ended);
    remove_session(m->child);
    m->child = 0;
    return false;
}

bool mpirun_has_nobody(const Mpirun *m)
{
    char *pattern = text_format("/proc/%d/task/*/children", (int)m->child);
    glob_t threads = {0};
    size_t silent = 0;
    bool known = glob(pattern, GLOB_NOSORT, NULL, &threads) == 0;
    for (size_t i = 0; known && i < threads.gl_pathc; i++) {
        FILE *f = fopen(threads.gl_pathv[i], "re");
        silent += f && fgetc(f) == EOF;
        if (f) fclose(f);
    }
    known = known && silent == threads.gl_pathc;
    globfree(&threads);
    free(pattern);
    return known;
}

bool mpirun_lost_one(const Mpirun *m) { return m->death.at_ms && moment_ms() - m->death.at_ms > MPIRUN_JOIN_MS; }

void mpirun_stop(const Mpirun *m) { kill(m->child, SIGUSR1); }

bool mpirun_end(Mpirun *m)
{
    const int64_t now_ms = moment_ms();
    const bool first = m->term_ms == 0;
    if (first) {
        m->term_ms = now_ms;
        kill(m->child, SIGTERM);
    } else if (now_ms - m->term_ms > KILL_MS && !m->killed) {
        m->killed = true;
        kill(m->child, SIGKILL);
    }
    return first;
}
