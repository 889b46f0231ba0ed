#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/logbook.h"
#include "common/moment.h"
#include "coordinator/watch/webhook.h"

enum { LOOK_MS = 200, FIRST_PAUSE_MS = 1000, LINE_MOST = 1 << 20, LOG_BYTES = 1 << 20 };

struct Notify {
    NotifySettings settings;
    char *folder, *file;
    unsigned char *key;
    size_t key_bytes;
    Logbook *log;
    off_t at;  /* events.jsonl has been told of up to here */
    bool down; /* the webhook did not take the last event */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    int64_t end_ms; /* 0: go on; else deliver what is there until then */
};

/* ---- being told to end ---- */

static int64_t end_of(Notify *n)
{
    pthread_mutex_lock(&n->mutex);
    int64_t end_ms = n->end_ms;
    pthread_mutex_unlock(&n->mutex);
    return end_ms;
}

static bool must_end(void *self)
{
    int64_t end_ms = end_of(self);
    return end_ms && moment_ms() >= end_ms;
}

/* Up to so long, shorter when the end is near. */
static void pause_ms(Notify *n, int64_t ms, bool wake_at_stop)
{
    for (int64_t until_ms = moment_ms() + ms; moment_ms() < until_ms && !must_end(n);) {
        if (wake_at_stop && end_of(n)) return;
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L / 2;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&n->mutex);
        pthread_cond_timedwait(&n->wake, &n->mutex, &until);
        pthread_mutex_unlock(&n->mutex);
    }
}

/* ---- one delivery ---- */

static Status post(Notify *n, const char *event, const char *id, const char *line)
{
    Status status = status_ok();
    int tries = n->down ? 1 : NOTIFY_TRIES;
    int64_t wait_ms = FIRST_PAUSE_MS;
    for (int i = 0; i < tries; i++, wait_ms *= 2) {
        WebhookPost p = {.address = n->settings.webhook,
                         .id = id,
                         .body = line,
                         .key = n->key,
                         .key_bytes = n->key_bytes,
                         .timestamp_s = (int64_t)moment_wall_s(),
                         .must_end = must_end,
                         .self = n};
        status = webhook_post(&p);
        if (!failed(status)) logbook_line(n->log, "%s: delivered to the webhook, at try %d", event, i + 1);
        if (status.err != ERR_RETRY || must_end(n)) break;
        logbook_line(n->log, "%s: try %d: %s", event, i + 1, status.message);
        if (i + 1 < tries) pause_ms(n, wait_ms, false);
    }
    n->down = status.err == ERR_RETRY;
    return status;
}

static int give_text(const char *line) /* a file that exists in memory only, to be a child's standard input */
{
    int fd = memfd_create("event", MFD_CLOEXEC);
    size_t bytes = strlen(line);
    if (fd >= 0 && write(fd, line, bytes) == (ssize_t)bytes && write(fd, "\n", 1) == 1 && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static Status start_command(Notify *n, int input, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    char *words[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", n->settings.command, NULL};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, logbook_file(n->log), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, logbook_file(n->log), STDERR_FILENO);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    errno = posix_spawn(child, "/bin/sh", &files, &how, words, environ);
    Status status = errno ? status_errno(ERR_NODE, "cannot start /bin/sh") : status_ok();
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return status;
}

static Status wait_for_command(Notify *n, pid_t child)
{
    int how = 0;
    for (int64_t end_ms = moment_ms() + NOTIFY_COMMAND_MS;; moment_sleep_ms(20)) {
        pid_t gone = waitpid(child, &how, WNOHANG);
        if (gone == child) break;
        if (gone < 0 && errno != EINTR) return status_errno(ERR_NODE, "waiting for the command");
        if (moment_ms() < end_ms && !must_end(n)) continue;
        kill(-child, SIGKILL);
        while (waitpid(child, &how, 0) < 0 && errno == EINTR) continue;
        return status_fail(ERR_NODE, "the command took too long and was ended");
    }
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return status_ok();
    return status_fail(ERR_NODE, "the command ended with %s %d", WIFEXITED(how) ? "status" : "signal",
                       WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
}

static Status run_command(Notify *n, const char *event, const char *line)
{
    pid_t child;
    int input = give_text(line);
    if (input < 0) return status_errno(ERR_NODE, "cannot hand over the event");
    Status status = start_command(n, input, &child);
    close(input);
    if (!failed(status)) status = wait_for_command(n, child);
    if (!failed(status)) logbook_line(n->log, "%s: the command was run", event);
    return status;
}

static void log_lost(Notify *n, const char *event, const char *why, const char *line)
{
    logbook_line(n->log, "%s: NOT DELIVERED: %s: %s", event, why, line);
    log_line(LOG_WARNING, "the event %s was not delivered: %s; %s/logs/notify.log has it", event, why, n->folder);
}

static bool is_wanted(const Notify *n, const char *event)
{
    if (n->settings.event_count == 0) {
        for (int i = 0; settings_event[i]; i++)
            if (strcmp(settings_event[i], event) == 0) return true;
        return false;
    }
    for (int i = 0; i < n->settings.event_count; i++)
        if (strcmp(n->settings.event[i], event) == 0) return true;
    return false;
}

/* where: of the line in the file; with the folder it makes the delivery's id. */
static void tell(Notify *n, const char *line, off_t where)
{
    json_t *object = json_loads(line, 0, NULL);
    const char *event = json_string_value(json_object_get(object, "event"));
    if (event && is_wanted(n, event)) {
        char digest[HASH_TEXT], *source = text_format("%s:%lld:%s", n->file, (long long)where, line),
                                *id = (hash_bytes(source, strlen(source), digest), text_format("msg_%.24s", digest));
        if (must_end(n)) {
            log_lost(n, event, "no time was left for it", line);
        } else {
            Status status = n->settings.webhook ? post(n, event, id, line) : status_ok();
            if (failed(status)) log_lost(n, event, status.message, line);
            status = n->settings.command ? run_command(n, event, line) : status_ok();
            if (failed(status)) log_lost(n, event, status.message, line);
        }
        free(id);
        free(source);
    }
    json_decref(object);
}

/* ---- the thread ---- */

/* What has been added since, whole lines only. */
static void tell_of_news(Notify *n)
{
    FILE *f = fopen(n->file, "re");
    char *line = NULL;
    size_t room = 0;
    if (!f) return;
    if (fseeko(f, n->at, SEEK_SET) != 0) {
        fclose(f);
        return;
    }
    for (ssize_t bytes; (bytes = getline(&line, &room, f)) > 0 && line[bytes - 1] == '\n'; n->at += bytes) {
        line[bytes - 1] = 0;
        if (bytes < LINE_MOST) tell(n, line, n->at);
    }
    free(line);
    fclose(f);
}

static void *work(void *self)
{
    Notify *n = self;
    while (!end_of(n)) {
        tell_of_news(n);
        pause_ms(n, LOOK_MS, true);
    }
    tell_of_news(n);
    return NULL;
}

static void free_all(Notify *n)
{
    logbook_close(&n->log);
    if (n->key) memset(n->key, 0, n->key_bytes);
    free(n->key);
    free(n->settings.webhook);
    free(n->settings.command);
    free(n->settings.secret_file);
    free(n->folder);
    free(n->file);
    free(n);
}

static off_t size_of(const char *file)
{
    int64_t bytes = 0;
    return failed(file_size(file, &bytes)) ? 0 : (off_t)bytes;
}

static Status start_thread(Notify *n)
{
    sigset_t all, before; /* signals are for the thread that leads the run */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&n->thread, NULL, work, n);
    Status status = errno ? status_errno(ERR_FATAL, "cannot start a thread") : status_ok();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

Status notify_start(const char *folder, const NotifySettings *s, Notify **out)
{
    *out = NULL;
    if (!s->webhook && !s->command) return status_ok();
    Notify *n = memory_get(1, sizeof *n);
    n->settings = *s;
    n->settings.webhook = s->webhook ? text_copy(s->webhook) : NULL;
    n->settings.command = s->command ? text_copy(s->command) : NULL;
    n->settings.secret_file = s->secret_file ? text_copy(s->secret_file) : NULL;
    n->folder = text_copy(folder);
    n->file = path_join(folder, "events.jsonl");
    n->at = size_of(n->file);
    pthread_mutex_init(&n->mutex, NULL);
    pthread_cond_init(&n->wake, NULL);
    char *log = path_join(folder, "logs/notify.log");
    Status status = webhook_read_key(n->settings.secret_file, &n->key, &n->key_bytes);
    if (!failed(status)) status = logbook_open(log, LOG_BYTES, &n->log);
    if (!failed(status)) status = start_thread(n);
    free(log);
    if (failed(status))
        free_all(n);
    else
        *out = n;
    return status;
}

void notify_stop(Notify **n, int wait_ms)
{
    if (!*n) return;
    pthread_mutex_lock(&(*n)->mutex);
    (*n)->end_ms = moment_ms() + (wait_ms > 0 ? wait_ms : 1);
    pthread_cond_signal(&(*n)->wake);
    pthread_mutex_unlock(&(*n)->mutex);
    pthread_join((*n)->thread, NULL);
    free_all(*n);
    *n = NULL;
}
