/* c2pa_library.h - the C library inside the PyPI package c2pa-python (c2pa-rs), found when it is needed. It has no header: the calls below are those
 * that are used here, as its Python side declares them (0.38). */
#ifndef REELWRIGHT_C2PA_LIBRARY_H
#define REELWRIGHT_C2PA_LIBRARY_H

#include <stdint.h>
#include <sys/types.h>

#include "common/status.h"

typedef struct C2paStream C2paStream;
typedef struct C2paReader C2paReader;
typedef struct C2paBuilder C2paBuilder;
typedef struct C2paSigner C2paSigner;
typedef struct C2paSettings C2paSettings;
typedef struct C2paContext C2paContext;
typedef struct C2paContextBuilder C2paContextBuilder;
typedef struct StreamContext StreamContext; /* ours */
typedef struct {
    const char *alg, *sign_cert, *private_key, *ta_url;
} C2paSignerInfo;
typedef ssize_t C2paRead(StreamContext *, uint8_t *, ssize_t);
typedef ssize_t C2paSeek(StreamContext *, ssize_t offset, int whence); /* 0 set, 1 current, 2 end; the new position */
typedef ssize_t C2paWrite(StreamContext *, const uint8_t *, ssize_t);
typedef ssize_t C2paFlush(StreamContext *);
/* The signature's length, or -1. */
typedef ssize_t C2paSign(const void *self, const uint8_t *data, size_t bytes, uint8_t *signature, size_t room);
enum { C2PA_ES256 = 0 };

#define C2PA_CALLS(X)                                                                                                  \
    X(char *, c2pa_version, (void))                                                                                    \
    X(char *, c2pa_error, (void))                                                                                      \
    X(int, c2pa_free, (const void *))                                                                                  \
    X(void, c2pa_string_free, (char *))                                                                                \
    X(C2paStream *, c2pa_create_stream, (StreamContext *, C2paRead *, C2paSeek *, C2paWrite *, C2paFlush *))           \
    X(void, c2pa_release_stream, (C2paStream *))                                                                       \
    X(C2paSettings *, c2pa_settings_new, (void))                                                                       \
    X(int, c2pa_settings_update_from_string, (C2paSettings *, const char *text, const char *format))                   \
    X(C2paContextBuilder *, c2pa_context_builder_new, (void))                                                          \
    X(int, c2pa_context_builder_set_settings, (C2paContextBuilder *, C2paSettings *))                                  \
    X(C2paContext *, c2pa_context_builder_build, (C2paContextBuilder *)) /* takes the builder */                       \
    X(C2paBuilder *, c2pa_builder_from_context, (C2paContext *))                                                       \
    X(C2paBuilder *, c2pa_builder_with_definition,                                                                     \
      (C2paBuilder *, const char *json)) /* takes it, returns a new one */                                             \
    X(int64_t, c2pa_builder_sign,                                                                                      \
      (C2paBuilder *, const char *format, C2paStream *from, C2paStream *to, C2paSigner *,                              \
       const unsigned char **manifest))                                                                                \
    X(C2paSigner *, c2pa_signer_from_info, (const C2paSignerInfo *))                                                   \
    X(C2paSigner *, c2pa_signer_create,                                                                                \
      (const void *self, C2paSign *, int algorithm, const char *certificates, const char *timestamp))                  \
    X(C2paReader *, c2pa_reader_from_context, (C2paContext *))                                                         \
    X(C2paReader *, c2pa_reader_with_stream, (C2paReader *, const char *format, C2paStream *)) /* takes it likewise */ \
    X(char *, c2pa_reader_json, (C2paReader *))                                                                        \
    X(void, c2pa_manifest_bytes_free, (const unsigned char *))

typedef struct {
#define C2PA_MEMBER(result, name, arguments) result(*name) arguments;
    C2PA_CALLS(C2PA_MEMBER)
#undef C2PA_MEMBER
} C2paLibrary;

/* Loaded at the first call: $REELWRIGHT_C2PA, else where quickstart.sh puts the package. ERR_INPUT says how to install it. */
Status c2pa_library(const C2paLibrary **out);

#endif
