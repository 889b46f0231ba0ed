#include "hosts.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/shell.h"

enum {
    MOST_FILE_BYTES = 4 << 20,
    MOST_HOSTS = 10000,
    MOST_SLOTS = 1024,
    AT_ONCE = 128,    /* probes that run at the same time */
    PROBE_MS = 30000, /* for each: a node that is so busy is of no use */
    LOOK_MS = 20,
    NO_PROGRAM = 41, /* exit statuses of the probe, above those of test and below ssh's 255 */
    NO_FOLDER = 42
};

const char hosts_default_agent[] = "ssh -o BatchMode=yes -o ConnectTimeout=10";

/* ---- the list ---- */

static Host *find_host(const Hosts *h, const char *name)
{
    for (int i = 0; i < h->count; i++)
        if (strcmp(h->host[i].name, name) == 0) return &h->host[i];
    return NULL;
}

static Status add_host(Hosts *h, const char *name, int slots)
{
    if (find_host(h, name)) return status_fail(ERR_INPUT, "%s is there twice", name);
    if (h->count == MOST_HOSTS) return status_fail(ERR_INPUT, "more than %d hosts", MOST_HOSTS);
    if (name[0] == '-' || name[strcspn(name, " \t'\"\\$`;|&<>(),:@")])
        return status_fail(ERR_INPUT, "\"%.60s\": expected the name or the IPv4 address of a host", name);
    h->host = memory_resize(h->host, (size_t)(h->count + 1), sizeof *h->host);
    h->host[h->count++] = (Host){.name = text_copy(name), .slots = slots};
    return status_ok();
}

/* "slots = 3" -> "slots=3": Open MPI reads both. */
static void close_up(char *line)
{
    char *to = line;
    for (char *p = line; *p; p++) {
        const char *next = p + strspn(p, " ");
        if (*p == ' ' && (*next == '=' || (to > line && to[-1] == '='))) continue;
        *to++ = *p;
    }
    *to = 0;
}

static Status read_count(const char *word, const char *number, long *count)
{
    char *end;
    *count = strtol(number, &end, 10);
    if (end == number || *end || *count < 1 || *count > MOST_SLOTS)
        return status_fail(ERR_INPUT, "%s, expected a number from 1 to %d", word, MOST_SLOTS);
    return status_ok();
}

/* "NAME [slots=N] [max_slots=N]", with the other names that Open MPI knows for slots. A run says itself how many it wants, so that the
 * most of a host changes nothing; what is not understood is refused, for it may be a misspelled number. */
static Status read_line(Hosts *h, char *line)
{
    static const char *const slots_name[] = {"slots", "cpu", "cpus", "count"}, *const most_name[] = {
                                                                                   "max_slots", "max-slots",
                                                                                   "slots_max", "max-cpus", "cpu_max"};
    close_up(line);
    char *words = line, *name = strsep(&words, " ");
    long slots = 0, most = 0;
    for (char *word; (word = strsep(&words, " "));) {
        const char *equals = strchr(word, '=');
        const size_t n = equals ? (size_t)(equals - word) : 0;
        bool is_slots = false, is_most = false;
        if (!*word) continue;
        for (size_t i = 0; n && i < sizeof slots_name / sizeof *slots_name; i++)
            is_slots = is_slots || (strlen(slots_name[i]) == n && strncasecmp(word, slots_name[i], n) == 0);
        for (size_t i = 0; n && i < sizeof most_name / sizeof *most_name; i++)
            is_most = is_most || (strlen(most_name[i]) == n && strncasecmp(word, most_name[i], n) == 0);
        if (!is_slots && !is_most)
            return status_fail(ERR_INPUT, "\"%.60s\" is not understood, expected NAME slots=N", word);
        TRY(read_count(word, equals + 1, is_slots ? &slots : &most));
    }
    return add_host(h, name, (int)slots);
}

static Status read_file(Hosts *h, const char *file)
{
    char *text = NULL, *rest, *line;
    size_t bytes;
    int number = 0;
    TRY(file_read(file, MOST_FILE_BYTES, &text, &bytes));
    Status status =
        strlen(text) == bytes ? status_ok() : status_fail(ERR_INPUT, "%s: expected a text file with hosts", file);
    for (rest = text; !failed(status) && (line = strsep(&rest, "\n"));) {
        number++;
        line[strcspn(line, "#\r")] = 0;
        for (char *p = line; *p; p++)
            if (*p == '\t') *p = ' ';
        line += strspn(line, " ");
        if (*line) status = status_at(read_line(h, line), "%s:%d", file, number);
    }
    free(text);
    if (!failed(status) && h->count == 0) return status_fail(ERR_INPUT, "%s: no host in it", file);
    return status;
}

/* Slurm's own tool expands "n[1-4,7]". */
static Status read_allocation(Hosts *h)
{
    char *list = getenv("SLURM_JOB_NODELIST"), *text = NULL, *line;
    char *const argv[] = {"scontrol", "show", "hostnames", list, NULL};
    int code;
    if (!getenv("SLURM_JOB_ID") || !list) return status_ok();
    TRY(shell_run(argv, &text, &code));
    Status status = status_ok();
    if (code != 0) {
        char *said = shell_said(text);
        status = status_fail(ERR_INPUT, "SLURM_JOB_NODELIST=%s: scontrol cannot say which hosts these are: %.200s",
                             list, said);
        free(said);
    }
    for (char *rest = text; !failed(status) && (line = strsep(&rest, "\n"));)
        if (*line) status = add_host(h, line, 0);
    h->allocated = h->count > 0;
    free(text);
    return status;
}

/* ---- this machine ---- */

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    if (!a || !b || a->sa_family != b->sa_family) return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
    return a->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

static bool has_own_address(const char *name, const struct ifaddrs *own)
{
    struct addrinfo *list = NULL;
    bool found = false;
    if (getaddrinfo(name, NULL, NULL, &list) != 0) return false;
    for (struct addrinfo *a = list; a; a = a->ai_next)
        for (const struct ifaddrs *i = own; i; i = i->ifa_next) found = found || same_address(a->ai_addr, i->ifa_addr);
    freeaddrinfo(list);
    return found;
}

static bool is_here(const Hosts *h, const char *name, const struct ifaddrs *own)
{
    char host[256] = "";
    const char *node = getenv("SLURMD_NODENAME");
    if (h->allocated && node) return strcmp(name, node) == 0;
    gethostname(host, sizeof host - 1);
    size_t n = strcspn(host, ".");
    if (strcmp(name, host) == 0 || (strlen(name) == n && strncmp(name, host, n) == 0)) return true;
    return has_own_address(name, own);
}

/* The launcher's machine comes first, so that rank 0 is there. It must not be in the list under two names: it would get the work of two
 * machines. */
static Status find_here(Hosts *h)
{
    struct ifaddrs *own = NULL;
    Status status = status_ok();
    if (getifaddrs(&own) != 0) own = NULL;
    for (int i = 0; i < h->count && !failed(status); i++) {
        if (!is_here(h, h->host[i].name, own)) continue;
        if (h->host[0].here) {
            status = status_fail(ERR_INPUT, "%s and %s are one machine, this one; name it once", h->host[0].name,
                                 h->host[i].name);
            break;
        }
        Host here = h->host[i];
        memmove(&h->host[1], &h->host[0], (size_t)i * sizeof *h->host);
        here.here = true;
        h->host[0] = here;
    }
    if (own) freeifaddrs(own);
    return status;
}

Status hosts_open(const char *hostfile, const char *agent, Hosts *out)
{
    *out = (Hosts){.agent = agent ? agent : hosts_default_agent};
    Status status = hostfile ? read_file(out, hostfile) : read_allocation(out);
    if (!failed(status) && out->count) status = status_at(find_here(out), "%s", hostfile ? hostfile : "the allocation");
    if (failed(status)) hosts_clear(out);
    for (int i = 0; i < out->count; i++) out->host[i].answers = true; /* until asked */
    return status;
}

void hosts_clear(Hosts *h)
{
    for (int i = 0; i < h->count; i++) free(h->host[i].name);
    free(h->host);
    *h = (Hosts){0};
}

/* ---- asking ---- */

typedef struct {
    pid_t pid; /* 0: not running */
    int64_t end_ms;
    int code; /* -1: it did not answer in time */
} Probe;

/* By posix_spawn: this process has threads, and a child that is forked of it may not even allocate. */
static pid_t spawn_shell(char *const *words)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    pid_t child = 0;
    posix_spawn_file_actions_init(&files);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&how, 0);
    if (posix_spawn(&child, "/bin/sh", &files, &how, words, environ) != 0) child = 0;
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return child;
}

static void end_probe(Probe *p)
{
    kill(-p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    p->code = -1;
    p->pid = 0;
}

static void look_at_probe(Probe *p, int64_t now_ms)
{
    int how;
    if (p->pid <= 0) return;
    pid_t gone = waitpid(p->pid, &how, WNOHANG);
    if (gone == p->pid) {
        p->code = WIFEXITED(how) ? WEXITSTATUS(how) : 128;
        p->pid = 0;
    } else if (gone < 0 || now_ms > p->end_ms || moment_stops() > 0) {
        end_probe(p);
    }
}

static Probe start_probe(const Hosts *h, const Host *host, const char *question)
{
    static const char step[] = "exec srun --overlap --quiet --nodes=1 --ntasks=1 --input=none --chdir=/ "
                               "--nodelist=\"$1\" sh -c \"$2\"";
    char *command = h->allocated ? text_copy(step) : text_format("exec %s \"$1\" \"$2\"", h->agent),
         *asked = text_copy(question);
    char *words[] = {
        (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", command, (char *)(uintptr_t) "sh", host->name, asked, NULL};
    Probe p = {.end_ms = moment_ms() + PROBE_MS, .code = -1, .pid = spawn_shell(words)};
    free(command);
    free(asked);
    return p;
}

static void ask_all(const Hosts *h, const char *question, Probe *probe)
{
    int next = 0, running = 1;
    while (next < h->count || running > 0) {
        running = 0;
        for (int i = 0; i < next; i++) {
            look_at_probe(&probe[i], moment_ms());
            running += probe[i].pid > 0;
        }
        for (; next < h->count && running < AT_ONCE; next++) {
            if (h->host[next].here) continue;
            probe[next] = start_probe(h, &h->host[next], question);
            running++;
        }
        if (running > 0) moment_sleep_ms(LOOK_MS);
    }
}

static const char *why_not(int code)
{
    return code == NO_PROGRAM  ? "it has not this program at the same path"
           : code == NO_FOLDER ? "it cannot write in the campaign's folder; is the shared file system mounted there?"
                               : "it does not answer";
}

Status hosts_probe(Hosts *h, const char *program, const char *folder)
{
    char *p = shell_quote(program), *f = shell_quote(folder);
    char *question = text_format("test -x %s || exit %d; test -w %s || exit %d", p, (int)NO_PROGRAM, f, (int)NO_FOLDER);
    Probe *probe = memory_get((size_t)h->count, sizeof *probe);
    int good = 0;
    ask_all(h, question, probe);
    for (int i = 0; i < h->count; i++) {
        bool answers = probe[i].code == 0;
        if (!answers && h->host[i].answers && moment_stops() == 0)
            log_line(LOG_WARNING, "host %s is left out: %s", h->host[i].name, why_not(probe[i].code));
        if (answers && !h->host[i].answers) log_line(LOG_INFO, "host %s is back", h->host[i].name);
        h->host[i].answers = answers;
        good += answers;
    }
    free(probe);
    free(question);
    free(p);
    free(f);
    if (h->count == 0 || good > 0) return status_ok();
    return h->count == 1 ? status_fail(ERR_RETRY, "host %s does not answer", h->host[0].name)
                         : status_fail(ERR_RETRY, "none of the %d hosts answers", h->count);
}
