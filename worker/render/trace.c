#include "trace.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>

#include "common/file.h"

enum { MAX_NDIM = 8, REASON = 256 };

struct TraceFile {
    char *path, *draft;
    hid_t file;
    Trace sink;
    char reason[REASON]; /* of the first failure, "" = none */
};

static void silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

static hid_t create_dataset(hid_t file, const char *name, hid_t type, int ndim, const hsize_t *size)
{
    hid_t space = ndim ? H5Screate_simple(ndim, size, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Sclose(space);
    return set;
}

static void put(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    TraceFile *t = self;
    hsize_t size[MAX_NDIM];
    if (*t->reason || ndim > MAX_NDIM) return;
    for (int i = 0; i < ndim; i++) size[i] = (hsize_t)dim[i];
    hid_t type = strcmp(dtype, "i64") == 0 ? H5T_NATIVE_INT64 : H5T_NATIVE_FLOAT;
    if (H5Lexists(t->file, name, H5P_DEFAULT) > 0) return;
    errno = 0;
    hid_t set = create_dataset(t->file, name, type, ndim, size);
    bool good = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (set >= 0) H5Dclose(set);
    if (!good) snprintf(t->reason, sizeof t->reason, "%s: %s", name, errno ? strerror(errno) : "HDF5 failed");
}

Status trace_open(const char *path, bool blocks, TraceFile **out)
{
    silence();
    TraceFile *t = memory_get(1, sizeof *t);
    t->path = text_copy(path);
    t->draft = file_draft(path);
    t->sink = (Trace){.put = put, .self = t, .blocks = blocks};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    errno = 0;
    t->file = H5Fcreate(t->draft, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    *out = t;
    if (t->file >= 0) return status_ok();
    Status status = errno ? status_errno(ERR_INPUT, "cannot write trace %s", path)
                          : status_fail(ERR_INPUT, "cannot write trace %s", path);
    trace_abandon(out);
    return status;
}

const Trace *trace_sink(const TraceFile *t) { return &t->sink; }

void trace_abandon(TraceFile **t)
{
    if (!*t) return;
    if ((*t)->file >= 0) H5Fclose((*t)->file);
    if ((*t)->draft) unlink((*t)->draft);
    free((*t)->draft);
    free((*t)->path);
    free(*t);
    *t = NULL;
}

Status trace_close(TraceFile **trace)
{
    TraceFile *t = *trace;
    Status status = status_ok();
    errno = 0;
    if (H5Fclose(t->file) < 0 && !*t->reason)
        snprintf(t->reason, sizeof t->reason, "%s", errno ? strerror(errno) : "HDF5 failed");
    t->file = -1;
    if (*t->reason)
        status = status_fail(ERR_NODE, "cannot write trace %s: %s", t->path, t->reason);
    else
        status = file_publish(t->draft, t->path);
    trace_abandon(trace);
    return status;
}

static void shape_text(char *text, size_t room, const hsize_t *size, int ndim)
{
    size_t n = 0;
    for (int i = 0; i < ndim && n < room; i++)
        n += (size_t)snprintf(text + n, room - n, "%s%llu", i ? "," : "", (unsigned long long)size[i]);
}

static Status check_noise(hid_t set, const char *path, const int64_t dim[4])
{
    hsize_t got[H5S_MAX_RANK] = {0};
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    int ndim = H5Sget_simple_extent_ndims(space);
    bool is_float = H5Tget_class(type) == H5T_FLOAT;
    H5Sget_simple_extent_dims(space, got, NULL);
    H5Tclose(type);
    H5Sclose(space);
    if (!is_float) return status_fail(ERR_INPUT, "%s: /noise holds no floating-point numbers", path);
    const hsize_t *last = ndim == 5 && got[0] == 1 ? got + 1 : got;
    bool same = ndim == 4 || last != got;
    for (int i = 0; same && i < 4; i++) same = last[i] == (hsize_t)dim[i];
    if (same) return status_ok();
    char have[256] = "";
    shape_text(have, sizeof have, got, ndim);
    return status_fail(ERR_INPUT, "%s: /noise is [%s], expected [%lld,%lld,%lld,%lld]", path, have, (long long)dim[0],
                       (long long)dim[1], (long long)dim[2], (long long)dim[3]);
}

Status trace_read_noise(const char *path, const int64_t dim[4], float **out)
{
    Status status = status_ok();
    int64_t count = dim[0] * dim[1] * dim[2] * dim[3], bytes;
    float *noise = NULL;
    H5L_info_t link;
    hid_t file = -1, set = -1;
    *out = NULL;
    silence();
    TRY(file_check_regular(path));
    TRY(file_size(path, &bytes));
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) return status_fail(ERR_INPUT, "%s: no HDF5 file, or a damaged one", path);
    if (H5Lget_info(file, "noise", &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD)
        set = H5Dopen2(file, "noise", H5P_DEFAULT);
    if (set < 0) TRY_OUT(status_fail(ERR_INPUT, "%s: expected a dataset /noise", path));
    TRY_OUT(check_noise(set, path, dim));
    noise = malloc((size_t)count * sizeof *noise);
    if (!noise) TRY_OUT(status_fail(ERR_NODE, "%s: out of memory", path));
    if (H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, noise) < 0)
        TRY_OUT(status_fail(ERR_INPUT, "%s: /noise cannot be read", path));
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(noise[i])) TRY_OUT(status_fail(ERR_INPUT, "%s: /noise holds values that are not finite", path));
    *out = noise;
    noise = NULL;
out:
    free(noise);
    if (set >= 0) H5Dclose(set);
    H5Fclose(file);
    return status;
}
