#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"

enum { ERR_BYTES = 64 << 10, CHUNK = 64 << 10 };

typedef struct {
    pid_t pid;
    int in, out, err; /* our ends; -1: closed */
    size_t written;
    size_t err_bytes;
    size_t out_room; /* of the answer's text */
} Running;

void command_clear(CommandAnswer *a)
{
    free(a->out);
    free(a->err);
    *a = (CommandAnswer){0};
}

static void close_end(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void command_follow(pid_t parent, int signal)
{
    prctl(PR_SET_PDEATHSIG, signal);
    if (getppid() != parent) _exit(127); /* it died before this process asked to hear of it */
}

/* This process's variables, one of which `variable` ("NAME=VALUE") replaces, or which it joins; NULL: it changes none. The list is made before
 * the fork, and setenv is not called, because other threads read the environment meanwhile. The texts are borrowed; free() the list. */
static char **environment_with(char *variable)
{
    size_t count = 0, n = 0;
    while (environ[count]) count++;
    char **list = memory_get(count + 2, sizeof *list);
    if (variable) list[n++] = variable;
    const size_t name = variable ? (size_t)(strchr(variable, '=') + 1 - variable) : 0;
    for (size_t i = 0; i < count; i++)
        if (name == 0 || strncmp(environ[i], variable, name) != 0) list[n++] = environ[i];
    return list;
}

/* In the child: only calls that are safe between fork and exec. */
static void become(const Command *c, char **environment, pid_t parent, int in, int out, int err)
{
    sigset_t none;
    setpgid(0, 0);
    command_follow(parent, SIGKILL); /* nobody waits for it any more */
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    for (int fd = 3; fd < 1024; fd++)
        if (fd != COMMAND_INHERITED_FD) close(fd);
    execle("/bin/sh", "sh", "-c", c->command, (char *)NULL, environment);
    _exit(127);
}

static Status start(const Command *c, Running *r)
{
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) != 0) return status_errno(ERR_NODE, "cannot start a command");
    if (pipe2(out, O_CLOEXEC) != 0) return close(in[0]), close(in[1]), status_errno(ERR_NODE, "cannot start a command");
    if (pipe2(err, O_CLOEXEC) != 0)
        return close(in[0]), close(in[1]), close(out[0]), close(out[1]),
               status_errno(ERR_NODE, "cannot start a command");
    char *variable = c->variable ? text_format("%s=%s", c->variable, c->value) : NULL,
         **environment = environment_with(variable);
    const pid_t self = getpid();
    r->pid = fork();
    if (r->pid == 0) become(c, environment, self, in[0], out[1], err[1]);
    free(environment);
    free(variable);
    close(in[0]), close(out[1]), close(err[1]);
    r->in = in[1], r->out = out[0], r->err = err[0];
    fcntl(r->in, F_SETFL, O_NONBLOCK);
    fcntl(r->out, F_SETFL, O_NONBLOCK);
    fcntl(r->err, F_SETFL, O_NONBLOCK);
    if (r->pid < 0) {
        close_end(&r->in), close_end(&r->out), close_end(&r->err);
        return status_errno(ERR_NODE, "cannot start a command");
    }
    return status_ok();
}

static void give(const Command *c, Running *r)
{
    size_t left = (c->input_bytes ? c->input_bytes : strlen(c->input)) - r->written;
    ssize_t n = left ? write(r->in, c->input + r->written, left) : 0;
    if (n > 0) r->written += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_end(&r->in); /* it may not want to read all */
}

/* False: more than most_bytes. */
static bool take_out(const Command *c, Running *r, CommandAnswer *a)
{
    if (a->out_bytes + CHUNK + 1 >
        r->out_room) { /* twice as much each time: 100 MB are copied once, not a thousand times */
        r->out_room = 2 * (a->out_bytes + CHUNK + 1);
        a->out = memory_resize(a->out, r->out_room, 1);
    }
    ssize_t n = read(r->out, a->out + a->out_bytes, CHUNK);
    if (n > 0) a->out_bytes += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_end(&r->out);
    return a->out_bytes <= c->most_bytes;
}

static void take_err(Running *r, CommandAnswer *a)
{
    if (r->err_bytes > ERR_BYTES / 2) { /* its end is what counts */
        memmove(a->err, a->err + r->err_bytes - ERR_BYTES / 2, ERR_BYTES / 2);
        r->err_bytes = ERR_BYTES / 2;
    }
    ssize_t n = read(r->err, a->err + r->err_bytes, ERR_BYTES / 2);
    if (n > 0) r->err_bytes += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_end(&r->err);
}

/* Until both outputs are closed. */
static Status talk(const Command *c, Running *r, CommandAnswer *a)
{
    double end = moment_s() + c->limit_s;
    while (r->out >= 0 || r->err >= 0) {
        double left = end - moment_s();
        if (left <= 0) return status_fail(ERR_RETRY, "it took longer than %g s", c->limit_s);
        struct pollfd fd[3] = {{r->in, POLLOUT, 0}, {r->out, POLLIN, 0}, {r->err, POLLIN, 0}};
        if (poll(fd, 3, left < 1 ? (int)(left * 1000) + 1 : 1000) < 0 && errno != EINTR)
            return status_errno(ERR_NODE, "cannot wait for a command");
        if (fd[0].revents) give(c, r);
        if (fd[1].revents && !take_out(c, r, a))
            return status_fail(ERR_RETRY, "it wrote more than %zu MB", c->most_bytes >> 20);
        if (fd[2].revents) take_err(r, a);
    }
    return status_ok();
}

/* What a person reads of it: its last line without control characters. */
static const char *last_line(char *text)
{
    size_t n = strlen(text);
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' ')) text[--n] = 0;
    char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < ' ') *p = '?';
    return strlen(line) > 300 ? line + strlen(line) - 300 : line;
}

/* The command has closed its outputs, and may take limit_s to end by itself; or it has failed so far, and is killed at once. */
static Status end(Running *r, Status so_far, double limit_s, CommandAnswer *a)
{
    int code = 0;
    double until = moment_s() + (failed(so_far) ? 0 : limit_s);
    pid_t got;
    while ((got = waitpid(r->pid, &code, WNOHANG)) == 0 && moment_s() < until) moment_sleep_ms(2);
    kill(-r->pid, SIGKILL); /* also what it started and left */
    if (got == 0) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, &code, 0);
        if (!failed(so_far)) so_far = status_fail(ERR_RETRY, "it took longer than %g s", limit_s);
    }
    if (failed(so_far)) return so_far;
    a->answered = WIFEXITED(code) && WEXITSTATUS(code) <= 128; /* above: what its shell says of a signal */
    if (WIFSIGNALED(code)) return status_fail(ERR_RETRY, "it was ended by signal %d", WTERMSIG(code));
    if (WEXITSTATUS(code) != 0)
        return status_fail(ERR_RETRY, "it ended with status %d: %s", WEXITSTATUS(code),
                           a->err && *a->err ? last_line(a->err) : "it said nothing on its standard error");
    return status_ok();
}

Status command_run(const Command *c, CommandAnswer *out)
{
    Running r = {.in = -1, .out = -1, .err = -1};
    *out = (CommandAnswer){.out = memory_get(1, 1), .err = memory_get(1, ERR_BYTES + 1)};
    sigset_t pipe, before, waiting;
    sigpending(&waiting);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before); /* of this thread: others may run commands, too */
    Status status = start(c, &r);
    if (!failed(status)) {
        status = talk(c, &r, out);
        close_end(&r.in), close_end(&r.out), close_end(&r.err);
        out->out[out->out_bytes] = 0;
        out->err[r.err_bytes] = 0;
        status = end(&r, status, c->limit_s, out);
    }
    if (!sigismember(&waiting, SIGPIPE)) sigtimedwait(&pipe, NULL, &(struct timespec){0}); /* ours, of a closed pipe */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}
