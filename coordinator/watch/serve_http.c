#include "serve_http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

/* ---- answers ---- */

#define RULES                                                                                                          \
    "connect-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; "                                      \
    "frame-ancestors 'none'"
static const char page_rules[] = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " RULES;
/* The report is one file; whatever it shows of others is escaped. */
static const char file_rules[] =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data:; " RULES;

static enum MHD_Result send_by(struct MHD_Connection *c, unsigned code, const char *type, struct MHD_Response *r,
                               const char *rules)
{
    const char *const header[][2] = {{"Content-Security-Policy", rules},
                                     {"X-Content-Type-Options", "nosniff"},
                                     {"Referrer-Policy", "no-referrer"},
                                     {"Cross-Origin-Resource-Policy", "same-origin"},
                                     {"Cross-Origin-Opener-Policy", "same-origin"},
                                     {"X-Frame-Options", "DENY"},
                                     {"Cache-Control", "no-store"}};
    if (!r) return MHD_NO;
    if (type) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) MHD_add_response_header(r, header[i][0], header[i][1]);
    const enum MHD_Result done = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result send_response(struct MHD_Connection *c, unsigned code, const char *type, struct MHD_Response *r)
{
    return send_by(c, code, type, r, page_rules);
}

enum MHD_Result serve_http_answer(struct MHD_Connection *c, unsigned code, const char *type, const char *text,
                                  size_t bytes)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (r && code == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST");
    return send_response(c, code, type, r);
}

enum MHD_Result serve_http_refuse(struct MHD_Connection *c, unsigned code, const char *text)
{
    return serve_http_answer(c, code, "text/plain; charset=utf-8", text, strlen(text));
}

const ServeText *serve_text_find(const ServeText *table, const char *path)
{
    for (const ServeText *t = table; t->path; t++)
        if (strcmp(path, t->path) == 0) return t;
    return NULL;
}

enum MHD_Result serve_http_text(struct MHD_Connection *c, const ServeText *t)
{
    return serve_http_answer(c, MHD_HTTP_OK, t->type, (const char *)t->data, t->bytes);
}

enum MHD_Result serve_http_json(struct MHD_Connection *c, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    const enum MHD_Result done = text ? serve_http_answer(c, MHD_HTTP_OK, "application/json", text, strlen(text))
                                      : serve_http_refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "no answer\n");
    free(text);
    return done;
}

const char *serve_http_argument(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
}

typedef struct {
    off_t from, to, size;
    bool part;    /* else all of it */
    bool outside; /* the range begins behind the end */
} Range;

/* "bytes=100-" or "bytes=100-199". All of it, where no range is asked for, or one of another kind. */
static Range find_range(struct MHD_Connection *c, off_t size)
{
    const char *wish = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_RANGE);
    Range r = {.to = size - 1, .size = size};
    long long first, last = INT64_MAX;
    char rest;
    const int n = wish ? sscanf(wish, "bytes=%lld-%lld%c", &first, &last, &rest) : 0;
    if (n < 1 || n > 2 || !strchr(wish, '-') || first < 0 || last < first) return r;
    r.outside = first >= size;
    r.part = !r.outside;
    if (r.part) r.from = first;
    if (r.part && last < size) r.to = last;
    return r;
}

static enum MHD_Result refuse_range(struct MHD_Connection *c, const Range *range)
{
    static const char text[] = "the file ends before that\n";
    char where[64];
    struct MHD_Response *r =
        MHD_create_response_from_buffer(sizeof text - 1, (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    snprintf(where, sizeof where, "bytes */%lld", (long long)range->size);
    if (r) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, where);
    return send_response(c, MHD_HTTP_RANGE_NOT_SATISFIABLE, "text/plain; charset=utf-8", r);
}

static enum MHD_Result send_part(struct MHD_Connection *c, const Range *range, const char *type, struct MHD_Response *r,
                                 const char *rules)
{
    char text[96];
    if (!r) return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    snprintf(text, sizeof text, "bytes %lld-%lld/%lld", (long long)range->from, (long long)range->to,
             (long long)range->size);
    if (range->part) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    return send_by(c, range->part ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, type, r, rules);
}

enum MHD_Result serve_http_file(struct MHD_Connection *c, const char *folder, const char *name, const char *type,
                                bool inline_too)
{
    struct stat of;
    char *path = path_join(folder, name);
    const int f = *name ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    free(path);
    if (f < 0 || fstat(f, &of) != 0 || !S_ISREG(of.st_mode)) {
        if (f >= 0) close(f);
        return serve_http_refuse(c, MHD_HTTP_NOT_FOUND, "the file is not there\n");
    }
    const Range range = find_range(c, of.st_size);
    struct MHD_Response *r =
        range.outside
            ? NULL
            : MHD_create_response_from_fd_at_offset64((uint64_t)(range.to - range.from + 1), f, (uint64_t)range.from);
    if (!r) close(f);
    return range.outside ? refuse_range(c, &range)
                         : send_part(c, &range, type, r, inline_too ? file_rules : page_rules);
}

enum MHD_Result serve_http_memory(struct MHD_Connection *c, const unsigned char *data, size_t bytes, const char *type)
{
    const Range range = find_range(c, (off_t)bytes);
    if (range.outside) return refuse_range(c, &range);
    struct MHD_Response *r = MHD_create_response_from_buffer(
        (size_t)(range.to - range.from + 1), (void *)(uintptr_t)(data + range.from), MHD_RESPMEM_PERSISTENT);
    return send_part(c, &range, type, r, page_rules);
}

enum MHD_Result serve_http_enter(struct MHD_Connection *c, const char *cookie, const char *session)
{
    char text[160];
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    snprintf(text, sizeof text, "%s=%s; HttpOnly; SameSite=Strict; Path=/", cookie, session);
    if (r) MHD_add_response_header(r, MHD_HTTP_HEADER_SET_COOKIE, text);
    if (r) MHD_add_response_header(r, MHD_HTTP_HEADER_LOCATION, "/");
    return send_response(c, MHD_HTTP_SEE_OTHER, NULL, r);
}

/* ---- who may come in ---- */

bool serve_secret_make(char out[SERVE_SECRET_TEXT])
{
    uint8_t raw[16];
    if (getrandom(raw, sizeof raw, 0) != sizeof raw) return false;
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", raw[i]);
    return true;
}

bool serve_secret_is(const char *given, const char *secret)
{
    unsigned differs = 0;
    if (!given || strlen(given) != strlen(secret)) return false;
    for (size_t i = 0; secret[i]; i++) differs |= (unsigned)(given[i] ^ secret[i]);
    return !differs;
}

Status serve_door_make(ServeDoor *d)
{
    const bool good = serve_secret_make(d->token) && serve_secret_make(d->session) && serve_secret_make(d->secret);
    return good ? status_ok() : status_errno(ERR_NODE, "no random numbers");
}

void serve_door_set_port(ServeDoor *d, int port) { snprintf(d->cookie, sizeof d->cookie, "reelwright-%d", port); }

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

bool serve_door_is_own(struct MHD_Connection *c)
{
    static const char before[] = "http://";
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    if (!is_own_name(host)) return false;
    return !origin ||
           (strncmp(origin, before, sizeof before - 1) == 0 && strcasecmp(origin + sizeof before - 1, host) == 0);
}

bool serve_door_is_in(const ServeDoor *d, struct MHD_Connection *c)
{
    return serve_secret_is(MHD_lookup_connection_value(c, MHD_COOKIE_KIND, d->cookie), d->session);
}

bool serve_door_has_secret(const ServeDoor *d, struct MHD_Connection *c)
{
    return serve_secret_is(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Page"), d->secret);
}

enum MHD_Result serve_door_let_in(ServeDoor *d, struct MHD_Connection *c)
{
    if ((d->once && d->used) || !serve_secret_is(serve_http_argument(c, "token"), d->token))
        return serve_http_refuse(c, MHD_HTTP_FORBIDDEN,
                                 d->once ? "this address works once; run the command again for a new one\n"
                                         : "this is not the address that was printed\n");
    d->used = true;
    return serve_http_enter(c, d->cookie, d->session);
}

/* ---- room for who comes in ---- */

void serve_room_init(ServeRoom *r)
{
    *r = (ServeRoom){.count = 0};
    pthread_mutex_init(&r->mutex, NULL);
}

void serve_room_clear(ServeRoom *r) { pthread_mutex_destroy(&r->mutex); }

static int find_open(const ServeRoom *r, const struct MHD_Connection *c)
{
    for (int i = 0; i < r->count; i++)
        if (r->open[i].connection == c) return i;
    return -1;
}

static void forget(ServeRoom *r, int at)
{
    memmove(&r->open[at], &r->open[at + 1], (size_t)(r->count - at - 1) * sizeof *r->open);
    r->count--;
}

static void make_room(ServeRoom *r)
{
    int at = 0;
    if (r->count < SERVE_ROOM_FROM) return;
    while (at < r->count && r->open[at].known) at++;
    if (at == r->count) at = 0;
    shutdown(r->open[at].fd, SHUT_RDWR);
    forget(r, at);
}

void serve_room_keep(void *room, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code)
{
    ServeRoom *r = room;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    (void)context;
    pthread_mutex_lock(&r->mutex);
    const int at = find_open(r, c);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED && at >= 0) forget(r, at);
    if (code == MHD_CONNECTION_NOTIFY_STARTED && info) {
        make_room(r);
        r->open[r->count].connection = c;
        r->open[r->count].known = false;
        r->open[r->count++].fd = info->connect_fd;
    }
    pthread_mutex_unlock(&r->mutex);
}

void serve_room_vouch(ServeRoom *r, struct MHD_Connection *c)
{
    pthread_mutex_lock(&r->mutex);
    const int at = find_open(r, c);
    if (at >= 0) r->open[at].known = true;
    pthread_mutex_unlock(&r->mutex);
}

/* ---- a POST, while it comes ---- */

static void serve_body_add(ServeBody *b, const char *data, size_t bytes)
{
    b->too_long = b->too_long || b->bytes + bytes > b->most;
    if (b->too_long) return;
    b->data = memory_resize(b->data, b->bytes + bytes, 1);
    memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
}

bool serve_body_comes(void **request, size_t most, const char *data, size_t *bytes)
{
    ServeBody *b = *request;
    if (!b) {
        b = *request = memory_get(1, sizeof *b);
        b->most = most;
        return true;
    }
    if (*bytes == 0) return false;
    serve_body_add(b, data, *bytes);
    *bytes = 0;
    return true;
}

json_t *serve_body_object(const ServeBody *b, struct MHD_Connection *c, enum MHD_Result *done, const char *expected)
{
    json_error_t error;
    json_t *j = b->too_long ? NULL : json_loadb(b->data ? b->data : "", b->bytes, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(j)) return j;
    json_decref(j);
    *done = b->too_long ? serve_http_refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "too many at once\n")
                        : serve_http_refuse(c, MHD_HTTP_BAD_REQUEST, expected);
    return NULL;
}

void serve_body_end(void *self, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode how)
{
    ServeBody *b = *request;
    (void)self, (void)c, (void)how;
    if (!b) return;
    free(b->data);
    free(b);
    *request = NULL;
}
