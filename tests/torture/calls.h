/* calls.h - the fallible calls that the program makes, and what each gives when it fails: one table, from which CMakeLists.txt
 * takes the linker's --wrap list and calls.c makes the wrappers. Not in it: what only frees or closes; what only asks (access).
 *
 * X(kind, type, name, parameters, arguments, what it returns, errno) */
#ifndef REELWRIGHT_TESTS_CALLS_H
#define REELWRIGHT_TESTS_CALLS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <hdf5.h>
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <mpi.h>
#include <sqlite3.h>

typedef enum { MEMORY, FILES, SQLITE, HDF5, LIBAV, MPI, KINDS } CallKind;

#define NO_MEMORY AVERROR(ENOMEM)
#define NO_SPACE  AVERROR(ENOSPC)
/* clang-format off */
#define CALLS(X) \
  X(MEMORY, void *, malloc, (size_t n), (n), NULL, ENOMEM) \
  X(MEMORY, void *, calloc, (size_t n, size_t size), (n, size), NULL, ENOMEM) \
  X(MEMORY, void *, realloc, (void *p, size_t n), (p, n), NULL, ENOMEM) \
  X(MEMORY, void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), NULL, ENOMEM) \
  X(MEMORY, char *, strdup, (const char *s), (s), NULL, ENOMEM) \
  X(MEMORY, FILE *, open_memstream, (char **text, size_t *n), (text, n), NULL, ENOMEM) \
  X(FILES, FILE *, fopen, (const char *p, const char *mode), (p, mode), NULL, EMFILE) \
  X(FILES, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), -1, EIO) \
  X(FILES, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), -1, ENOSPC) \
  X(FILES, ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), -1, EIO) \
  X(FILES, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), -1, ENOSPC) \
  X(FILES, off_t, lseek, (int fd, off_t at, int from), (fd, at, from), -1, EIO) \
  X(FILES, int, fseeko, (FILE *f, off_t at, int from), (f, at, from), -1, EIO) \
  X(FILES, int, fflush, (FILE *f), (f), EOF, ENOSPC) \
  X(FILES, int, fsync, (int fd), (fd), -1, EIO) \
  X(FILES, int, fdatasync, (int fd), (fd), -1, EIO) \
  X(FILES, int, rename, (const char *a, const char *b), (a, b), -1, EIO) \
  X(FILES, int, link, (const char *a, const char *b), (a, b), -1, EMLINK) \
  X(FILES, int, mkdir, (const char *p, mode_t mode), (p, mode), -1, EROFS) \
  X(FILES, int, stat, (const char *p, struct stat *s), (p, s), -1, EIO) \
  X(FILES, int, fstat, (int fd, struct stat *s), (fd, s), -1, EIO) \
  X(FILES, int, statvfs, (const char *p, struct statvfs *s), (p, s), -1, EIO) \
  X(FILES, int, ftruncate, (int fd, off_t n), (fd, n), -1, EIO) \
  X(FILES, int, flock, (int fd, int how), (fd, how), -1, ENOLCK) \
  X(FILES, void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at), MAP_FAILED, ENOMEM) \
  X(FILES, DIR *, opendir, (const char *p), (p), NULL, EMFILE) \
  X(FILES, char *, realpath, (const char *p, char *to), (p, to), NULL, EIO) \
  X(SQLITE, int, sqlite3_prepare_v3, (sqlite3 *db, const char *sql, int n, unsigned flags, sqlite3_stmt **s, const char **tail), (db, sql, n, flags, s, tail), SQLITE_NOMEM, 0) \
  X(SQLITE, int, sqlite3_bind_int64, (sqlite3_stmt *s, int i, sqlite3_int64 v), (s, i, v), SQLITE_NOMEM, 0) \
  X(SQLITE, int, sqlite3_bind_double, (sqlite3_stmt *s, int i, double v), (s, i, v), SQLITE_NOMEM, 0) \
  X(SQLITE, int, sqlite3_bind_text, (sqlite3_stmt *s, int i, const char *v, int n, void (*d)(void *)), (s, i, v, n, d), SQLITE_NOMEM, 0) \
  X(SQLITE, int, sqlite3_step, (sqlite3_stmt *s), (s), SQLITE_IOERR, 0) \
  X(SQLITE, int, sqlite3_exec, (sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *self, char **why), (db, sql, row, self, why), SQLITE_FULL, 0) \
  X(HDF5, hid_t, H5Fopen, (const char *p, unsigned flags, hid_t access), (p, flags, access), -1, 0) \
  X(HDF5, hid_t, H5Fcreate, (const char *p, unsigned flags, hid_t create, hid_t access), (p, flags, create, access), -1, 0) \
  X(HDF5, herr_t, H5Fflush, (hid_t f, H5F_scope_t scope), (f, scope), -1, 0) \
  X(HDF5, herr_t, H5Fget_filesize, (hid_t f, hsize_t *n), (f, n), -1, 0) \
  X(HDF5, herr_t, H5Fget_vfd_handle, (hid_t f, hid_t access, void **p), (f, access, p), -1, 0) \
  X(HDF5, herr_t, H5Pset_file_image, (hid_t p, void *image, size_t n), (p, image, n), -1, 0) \
  X(HDF5, herr_t, H5Pset_fapl_core, (hid_t p, size_t growth, hbool_t keep), (p, growth, keep), -1, 0) \
  X(HDF5, hid_t, H5Gcreate2, (hid_t at, const char *name, hid_t l, hid_t c, hid_t a), (at, name, l, c, a), -1, 0) \
  X(HDF5, hid_t, H5Gopen2, (hid_t at, const char *name, hid_t a), (at, name, a), -1, 0) \
  X(HDF5, herr_t, H5Lget_info, (hid_t at, const char *name, H5L_info_t *i, hid_t a), (at, name, i, a), -1, 0) \
  X(HDF5, hid_t, H5Screate, (H5S_class_t type), (type), -1, 0) \
  X(HDF5, hid_t, H5Screate_simple, (int rank, const hsize_t *size, const hsize_t *most), (rank, size, most), -1, 0) \
  X(HDF5, hid_t, H5Acreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t c, hid_t a), (at, name, type, space, c, a), -1, 0) \
  X(HDF5, hid_t, H5Aopen, (hid_t at, const char *name, hid_t a), (at, name, a), -1, 0) \
  X(HDF5, herr_t, H5Awrite, (hid_t a, hid_t type, const void *p), (a, type, p), -1, 0) \
  X(HDF5, herr_t, H5Aread, (hid_t a, hid_t type, void *p), (a, type, p), -1, 0) \
  X(HDF5, hid_t, H5Aget_type, (hid_t a), (a), -1, 0) \
  X(HDF5, hid_t, H5Aget_space, (hid_t a), (a), -1, 0) \
  X(HDF5, hid_t, H5Dcreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t l, hid_t c, hid_t a), (at, name, type, space, l, c, a), -1, 0) \
  X(HDF5, hid_t, H5Dopen2, (hid_t at, const char *name, hid_t a), (at, name, a), -1, 0) \
  X(HDF5, herr_t, H5Dwrite, (hid_t d, hid_t type, hid_t m, hid_t s, hid_t x, const void *p), (d, type, m, s, x, p), -1, 0) \
  X(HDF5, herr_t, H5Dread, (hid_t d, hid_t type, hid_t m, hid_t s, hid_t x, void *p), (d, type, m, s, x, p), -1, 0) \
  X(HDF5, hid_t, H5Dget_type, (hid_t d), (d), -1, 0) \
  X(HDF5, hid_t, H5Dget_space, (hid_t d), (d), -1, 0) \
  X(HDF5, hid_t, H5Dget_create_plist, (hid_t d), (d), -1, 0) \
  X(LIBAV, int, avformat_alloc_output_context2, (AVFormatContext **c, const AVOutputFormat *f, const char *name, const char *p), (c, f, name, p), NO_MEMORY, 0) \
  X(LIBAV, AVStream *, avformat_new_stream, (AVFormatContext *c, const AVCodec *codec), (c, codec), NULL, 0) \
  X(LIBAV, int, avformat_write_header, (AVFormatContext *c, AVDictionary **o), (c, o), NO_SPACE, 0) \
  X(LIBAV, int, av_interleaved_write_frame, (AVFormatContext *c, AVPacket *p), (c, p), NO_SPACE, 0) \
  X(LIBAV, int, av_write_trailer, (AVFormatContext *c), (c), NO_SPACE, 0) \
  X(LIBAV, int, avio_open, (AVIOContext **c, const char *p, int flags), (c, p, flags), NO_SPACE, 0) \
  X(LIBAV, AVCodecContext *, avcodec_alloc_context3, (const AVCodec *c), (c), NULL, 0) \
  X(LIBAV, int, avcodec_open2, (AVCodecContext *c, const AVCodec *codec, AVDictionary **o), (c, codec, o), NO_MEMORY, 0) \
  X(LIBAV, int, avcodec_parameters_from_context, (AVCodecParameters *p, const AVCodecContext *c), (p, c), NO_MEMORY, 0) \
  X(LIBAV, int, avcodec_send_frame, (AVCodecContext *c, const AVFrame *f), (c, f), NO_MEMORY, 0) \
  X(LIBAV, int, avcodec_receive_packet, (AVCodecContext *c, AVPacket *p), (c, p), NO_MEMORY, 0) \
  X(LIBAV, AVPacket *, av_packet_alloc, (void), (), NULL, 0) \
  X(LIBAV, AVFrame *, av_frame_alloc, (void), (), NULL, 0) \
  X(LIBAV, int, av_frame_get_buffer, (AVFrame *f, int align), (f, align), NO_MEMORY, 0) \
  X(LIBAV, int, av_frame_make_writable, (AVFrame *f), (f), NO_MEMORY, 0) \
  X(LIBAV, struct SwsContext *, sws_alloc_context, (void), (), NULL, 0) \
  X(LIBAV, int, sws_init_context, (struct SwsContext *c, SwsFilter *a, SwsFilter *b), (c, a, b), NO_MEMORY, 0) \
  X(LIBAV, AVFilterGraph *, avfilter_graph_alloc, (void), (), NULL, 0) \
  X(LIBAV, AVFilterContext *, avfilter_graph_alloc_filter, (AVFilterGraph *g, const AVFilter *f, const char *name), (g, f, name), NULL, 0) \
  X(LIBAV, int, avfilter_init_dict, (AVFilterContext *c, AVDictionary **o), (c, o), NO_MEMORY, 0) \
  X(LIBAV, int, avfilter_link, (AVFilterContext *a, unsigned i, AVFilterContext *b, unsigned k), (a, i, b, k), NO_MEMORY, 0) \
  X(LIBAV, int, avfilter_graph_config, (AVFilterGraph *g, void *log), (g, log), NO_MEMORY, 0) \
  X(LIBAV, int, av_buffersrc_add_frame_flags, (AVFilterContext *c, AVFrame *f, int flags), (c, f, flags), NO_MEMORY, 0) \
  X(LIBAV, int, av_buffersink_get_frame, (AVFilterContext *c, AVFrame *f), (c, f), NO_MEMORY, 0) \
  X(MPI, int, MPI_Init, (int *argc, char ***argv), (argc, argv), MPI_ERR_OTHER, 0) \
  X(MPI, int, MPI_Isend, (const void *p, int n, MPI_Datatype t, int to, int tag, MPI_Comm c, MPI_Request *r), (p, n, t, to, tag, c, r), MPI_ERR_OTHER, 0) \
  X(MPI, int, MPI_Iprobe, (int from, int tag, MPI_Comm c, int *there, MPI_Status *s), (from, tag, c, there, s), MPI_ERR_OTHER, 0) \
  X(MPI, int, MPI_Recv, (void *p, int n, MPI_Datatype t, int from, int tag, MPI_Comm c, MPI_Status *s), (p, n, t, from, tag, c, s), MPI_ERR_OTHER, 0) \
  X(MPI, int, MPI_Test, (MPI_Request *r, int *done, MPI_Status *s), (r, done, s), MPI_ERR_OTHER, 0)
/* clang-format on */

/* From now on the nth call of this kind fails, once; 0: none does, they are counted. */
void calls_arm(CallKind kind, int64_t nth);
int64_t calls_disarm(void);           /* how many calls of that kind there were */
bool calls_failed(const char **name); /* the nth was reached: which one it was */

#endif
