/* serve_http.h - what our pages over HTTP share: answers and their headers, who may come in, files with ranges, bodies of a POST.
 *
 * A door has an address with a token; whoever opens that gets the session's cookie. What may change something also needs the page's
 * secret in a header. A page of another site can neither read nor order anything: the name in Host must be this machine's own (a name
 * that leads here by a trick is not), Origin must be the page's own, the cookie is SameSite=Strict. The port is the browser's, which
 * through a tunnel (ssh -L) is another one than ours. */
#ifndef REELWRIGHT_SERVE_HTTP_H
#define REELWRIGHT_SERVE_HTTP_H

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>

#include "common/status.h"
#include "coordinator/watch/serve_text.h"

enum { SERVE_SECRET_TEXT = 33, SERVE_MOST_BODY = 1 << 20 };

/* ---- answers; `type` NULL: without one ---- */

enum MHD_Result serve_http_answer(struct MHD_Connection *c, unsigned code, const char *type, const char *text,
                                  size_t bytes);                                              /* copied */
enum MHD_Result serve_http_refuse(struct MHD_Connection *c, unsigned code, const char *text); /* plain text */
enum MHD_Result serve_http_json(struct MHD_Connection *c, json_t *j);                         /* takes j */
enum MHD_Result serve_http_text(struct MHD_Connection *c, const ServeText *t);
/* FOLDER/NAME, a plain file, or the range of it that was asked for; 416 for one behind its end. inline_too: a page in it may bring
 * its own styles and scripts. */
enum MHD_Result serve_http_file(struct MHD_Connection *c, const char *folder, const char *name, const char *type,
                                bool inline_too);
/* The same of bytes that nobody copies: they stay until the server is stopped. */
enum MHD_Result serve_http_memory(struct MHD_Connection *c, const unsigned char *data, size_t bytes, const char *type);
const char *serve_http_argument(struct MHD_Connection *c, const char *name); /* of the address; NULL: not there */
/* The way to "/", with a session's cookie. */
enum MHD_Result serve_http_enter(struct MHD_Connection *c, const char *cookie, const char *session);

/* ---- who may come in ---- */

bool serve_secret_make(char out[SERVE_SECRET_TEXT]); /* false: there are no random numbers */
/* Compares in a time that does not say where they differ. given: NULL is none. */
bool serve_secret_is(const char *given, const char *secret);

typedef struct {
    char token[SERVE_SECRET_TEXT], session[SERVE_SECRET_TEXT], secret[SERVE_SECRET_TEXT];
    char cookie[32]; /* its name, with the port: two pages of one machine share their cookies */
    bool once;       /* the token is good for one browser */
    bool used;
} ServeDoor;

Status serve_door_make(ServeDoor *d);
void serve_door_set_port(ServeDoor *d, int port);
/* Host and Origin, if any, are this machine's own. */
bool serve_door_is_own(struct MHD_Connection *c);
bool serve_door_is_in(const ServeDoor *d, struct MHD_Connection *c);
bool serve_door_has_secret(const ServeDoor *d, struct MHD_Connection *c);
/* For an address with a token: the cookie and the way to "/", or a refusal. */
enum MHD_Result serve_door_let_in(ServeDoor *d, struct MHD_Connection *c);

/* ---- room for who comes in ---- */

/* Strangers that connect and say nothing, or a byte now and then, would fill all connections: each byte begins the timeout anew. So
 * from SERVE_ROOM_FROM connections on the oldest that nobody vouched for is shut down for each new one, or the oldest of all; the
 * library then closes it. */
enum { SERVE_MOST_CONNECTIONS = 256, SERVE_ROOM_FROM = 192 };

typedef struct {
    pthread_mutex_t mutex;
    struct {
        struct MHD_Connection *connection;
        int fd;
        bool known;
    } open[SERVE_MOST_CONNECTIONS]; /* the oldest first */
    int count;
} ServeRoom;

void serve_room_init(ServeRoom *r);
void serve_room_clear(ServeRoom *r);
/* For MHD_OPTION_NOTIFY_CONNECTION, with the ServeRoom; any thread. */
void serve_room_keep(void *room, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code);
void serve_room_vouch(ServeRoom *r, struct MHD_Connection *c); /* it has a session: it goes last */

/* ---- a POST, while it comes ---- */

typedef struct {
    char *data;
    size_t bytes, most; /* most: what is longer is read and thrown away */
    bool too_long;
} ServeBody;

/* For each call of the library until the request is whole: true while it is not. *request: the ServeBody. */
bool serve_body_comes(void **request, size_t most, const char *data, size_t *bytes);
/* The JSON object that came; NULL after an answer that says why not. */
json_t *serve_body_object(const ServeBody *b, struct MHD_Connection *c, enum MHD_Result *done, const char *expected);
/* For MHD_OPTION_NOTIFY_COMPLETED, where *request is a ServeBody. */
void serve_body_end(void *self, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode how);

#endif
