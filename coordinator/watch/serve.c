#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/watch/metrics.h"
#include "coordinator/watch/status_page.h"

enum { FRESH_MS = 500, MOST_CONNECTIONS = 256, ROOM_FROM = 192, TIMEOUT_S = 10, REASONS_SHOWN = 5, MOST_FOLDERS = 64 };

typedef struct {
    char *text;
    size_t bytes;
    int64_t made_ms;
} Made;

struct Serve {
    struct MHD_Daemon *daemon;
    int count, port;
    char *folder[MOST_FOLDERS];
    bool loopback;
    Made page, metrics; /* only the server's thread touches these */
    struct {
        struct MHD_Connection *connection;
        int fd;
    } open[MOST_CONNECTIONS]; /* the oldest first */
    int open_count;
};

/* ---- what is shown ---- */

static Status read_part(const char *folder, StatusPart *part, LeaseTotals *totals)
{
    Ledger *l = NULL;
    part->folder = folder;
    part->failures = NULL;
    Status status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) status = ledger_read_snapshot(l, &part->now);
    if (!failed(status)) {
        status = totals             ? ledger_read_totals(l, totals)
                 : part->now.failed ? ledger_describe_failures(l, REASONS_SHOWN, &part->failures)
                                    : status_ok();
        if (failed(status)) snapshot_clear(&part->now);
    }
    ledger_close(&l);
    if (!failed(status) && !part->failures) part->failures = text_copy("");
    if (failed(status)) free(part->failures);
    return status;
}

static int read_parts(const Serve *s, StatusPart *part, LeaseTotals *totals) /* totals NULL: not wanted */
{
    int n = 0;
    for (int i = 0; i < s->count; i++)
        if (!failed(read_part(s->folder[i], &part[n], totals ? &totals[n] : NULL))) n++;
    return n;
}

/* Anew when it is old; what cannot be read is left out. */
static void make(Serve *s, Made *made, bool metrics)
{
    if (made->text && moment_ms() - made->made_ms < FRESH_MS) return;
    StatusPart part[MOST_FOLDERS];
    Snapshot now[MOST_FOLDERS];
    LeaseTotals totals[MOST_FOLDERS];
    int count = read_parts(s, part, metrics ? totals : NULL);
    free(made->text);
    FILE *f = open_memstream(&made->text, &made->bytes);
    if (!f) abort();
    for (int i = 0; i < count; i++) now[i] = part[i].now;
    if (metrics)
        metrics_write(f, now, totals, count, moment_wall_s());
    else
        status_page_write(f, part, count, moment_wall_s());
    fclose(f);
    made->made_ms = moment_ms();
    for (int i = 0; i < count; i++) {
        snapshot_clear(&part[i].now);
        free(part[i].failures);
    }
}

/* ---- requests ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned code, const char *type, const char *text, size_t bytes)
{
    static const char *const header[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-store"}};
    struct MHD_Response *r = MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!r) return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) MHD_add_response_header(r, header[i][0], header[i][1]);
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result done = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned code, const char *text)
{
    return answer(c, code, "text/plain; charset=utf-8", text, strlen(text));
}

/* 127.0.0.0/8 is this machine, whichever address of it was listened on. */
static bool is_loopback(const char *host)
{
    char address[INET_ADDRSTRLEN] = "";
    struct in_addr in;
    size_t n = strcspn(host, ":");
    if (n >= sizeof address) return false;
    memcpy(address, host, n);
    return inet_pton(AF_INET, address, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}

/* A name that leads here by a trick is not this machine's own. */
static bool is_own_name(const char *host)
{
    static const char *const own[] = {"localhost", "[::1]"};
    if (!host) return false;
    if (is_loopback(host)) return true;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        size_t n = strlen(own[i]);
        if (strncasecmp(host, own[i], n) == 0 && (host[n] == 0 || host[n] == ':')) return true;
    }
    return false;
}

static enum MHD_Result take(void *self, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *data, size_t *bytes, void **request)
{
    Serve *s = self;
    (void)version, (void)data, (void)bytes, (void)request;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "nothing can be changed here\n");
    if (s->loopback && !is_own_name(MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)))
        return refuse(c, MHD_HTTP_FORBIDDEN, "ask for localhost\n");
    if (strcmp(url, "/style.css") == 0)
        return answer(c, MHD_HTTP_OK, "text/css; charset=utf-8", status_page_style, strlen(status_page_style));
    bool metrics = strcmp(url, "/metrics") == 0;
    if (!metrics && strcmp(url, "/") != 0) return refuse(c, MHD_HTTP_NOT_FOUND, "/ or /metrics\n");
    Made *made = metrics ? &s->metrics : &s->page;
    make(s, made, metrics);
    return answer(c, MHD_HTTP_OK, metrics ? METRICS_TYPE : "text/html; charset=utf-8", made->text, made->bytes);
}

/* ---- where ---- */

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} Address;

static bool parse_port(const char *text, in_port_t *port)
{
    size_t n = strlen(text);
    unsigned long value = strtoul(text, NULL, 10);
    if (n < 1 || n > 5 || strspn(text, "0123456789") != n || value > 65535) return false;
    *port = htons((uint16_t)value);
    return true;
}

static Status parse_where(const char *where, Address *to, bool *loopback)
{
    char host[64] = "127.0.0.1";
    in_port_t port = 0;
    const char *colon = strrchr(where, ':'), *from = where;
    size_t length = colon ? (size_t)(colon - where) : 0;
    if (length >= 2 && where[0] == '[' && where[length - 1] == ']') from++, length -= 2;
    if (colon && length < sizeof host) snprintf(host, sizeof host, "%.*s", (int)length, from);
    memset(to, 0, sizeof *to);
    bool good = parse_port(colon ? colon + 1 : where, &port);
    if (good && inet_pton(AF_INET, host, &to->v4.sin_addr) == 1) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = port;
        *loopback = ntohl(to->v4.sin_addr.s_addr) >> 24 == 127;
        return status_ok();
    }
    if (good && inet_pton(AF_INET6, host, &to->v6.sin6_addr) == 1) {
        to->v6.sin6_family = AF_INET6;
        to->v6.sin6_port = port;
        *loopback = IN6_IS_ADDR_LOOPBACK(&to->v6.sin6_addr);
        return status_ok();
    }
    return status_fail(ERR_INPUT, "--listen %.64s: expected PORT, or ADDRESS:PORT as in 127.0.0.1:9464 or [::1]:9464",
                       where);
}

/* Who connects and says little would keep others out, sooner than a timeout that each byte begins anew: from a number of connections on
 * the oldest makes room. The library closes it when it finds it shut. */
static void keep_room(void *self, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code)
{
    Serve *s = self;
    int at = 0;
    (void)context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (!info || s->open_count == MOST_CONNECTIONS) return;
        s->open[s->open_count].connection = c;
        s->open[s->open_count++].fd = info->connect_fd;
        for (int i = 0; i < s->open_count - ROOM_FROM; i++) shutdown(s->open[i].fd, SHUT_RDWR);
        return;
    }
    while (at < s->open_count && s->open[at].connection != c) at++;
    if (at == s->open_count) return;
    memmove(&s->open[at], &s->open[at + 1], (size_t)(s->open_count - at - 1) * sizeof *s->open);
    s->open_count--;
}

/* A library's thread: signals are for the one that leads the run. */
static struct MHD_Daemon *start_daemon(Serve *s, Address *to)
{
    sigset_t all, before;
    unsigned how =
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | (to->any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *d =
        MHD_start_daemon(how, 0, NULL, NULL, take, s, MHD_OPTION_SOCK_ADDR, &to->any, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
                         MHD_OPTION_NOTIFY_CONNECTION, keep_room, s, MHD_OPTION_END);
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return d;
}

Status serve_start(const char *where, const char *const *folder, int count, Serve **out)
{
    Address to;
    Serve *s = memory_get(1, sizeof *s);
    Status status = parse_where(where, &to, &s->loopback);
    *out = NULL;
    for (int i = 0; i < count && i < MOST_FOLDERS; i++) s->folder[s->count++] = text_copy(folder[i]);
    if (!failed(status) && !(s->daemon = start_daemon(s, &to)))
        status = status_errno(ERR_INPUT, "--listen %s: cannot listen there", where);
    if (failed(status)) {
        serve_stop(&s);
        return status;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info ? info->port : 0;
    if (!s->loopback)
        log_line(LOG_WARNING, "--listen %s: whoever reaches this address can read the customers' ids there", where);
    *out = s;
    return status_ok();
}

void serve_stop(Serve **s)
{
    if (!*s) return;
    if ((*s)->daemon) MHD_stop_daemon((*s)->daemon);
    for (int i = 0; i < (*s)->count; i++) free((*s)->folder[i]);
    free((*s)->page.text);
    free((*s)->metrics.text);
    free(*s);
    *s = NULL;
}

int serve_port(const Serve *s) { return s->port; }
