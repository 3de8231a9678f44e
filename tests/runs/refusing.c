/* Put before the C library, it refuses one of the calls by which a process changes what lies in a folder.

   refuse_at(folder, at, number, report) begins to count such calls; the one of that place, from 1 on,
   fails with that errno. When the process ends, how many there were is written to `report`, and which
   one was refused. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX], report[PATH_MAX], refused_call[400] = "nothing";
static long at, count;
static int number;

void refuse_at(const char *folder, long place, int error, const char *told) {
    strcpy(root, folder), strcpy(report, told);
    at = place, number = error, count = 0;
}

static int is_in(int folder, const char *path) {
    char whole[2 * PATH_MAX] = "", link[64];
    if (!root[0]) return 0;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (!getcwd(whole, PATH_MAX)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, whole, PATH_MAX);
            if (length < 0) return 0;
            whole[length] = 0;
        }
        strcat(whole, "/");
    }
    strncat(whole, path, PATH_MAX - 1);
    return !strncmp(whole, root, strlen(root));
}

static int is_open_in(int handle) {
    char link[64], whole[PATH_MAX];
    if (!root[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, whole, sizeof whole - 1);
    if (length < 0) return 0;
    whole[length] = 0;
    return !strncmp(whole, root, strlen(root));
}

static int refuses(const char *call, const char *path) {
    if (__sync_add_and_fetch(&count, 1) != at) return 0;
    snprintf(refused_call, sizeof refused_call, "%s %s", call, path);
    errno = number;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OF_PATH(name, folder, path, parameters, arguments) \
    int name parameters { \
        if (is_in(folder, path) && refuses(#name, path)) return -1; \
        return REAL(name) arguments; \
    }
#define OF_HANDLE(type, name, handle, parameters, arguments) \
    type name parameters { \
        if (is_open_in(handle) && refuses(#name, "")) return -1; \
        return REAL(name) arguments; \
    }
#define OPENS(name, folder, parameters, ...) \
    int name parameters { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int writes = flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC); \
        if (writes && is_in(folder, path) && refuses(#name, path)) return -1; \
        return REAL(name)(__VA_ARGS__, flags, mode); \
    }

OPENS(open, AT_FDCWD, (const char *path, int flags, ...), path)
OPENS(open64, AT_FDCWD, (const char *path, int flags, ...), path)
OPENS(openat, folder, (int folder, const char *path, int flags, ...), folder, path)
OPENS(openat64, folder, (int folder, const char *path, int flags, ...), folder, path)

OF_PATH(mkdir, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
OF_PATH(mkdirat, folder, path, (int folder, const char *path, mode_t mode), (folder, path, mode))
OF_PATH(rmdir, AT_FDCWD, path, (const char *path), (path))
OF_PATH(unlink, AT_FDCWD, path, (const char *path), (path))
OF_PATH(unlinkat, folder, path, (int folder, const char *path, int flags), (folder, path, flags))
OF_PATH(rename, AT_FDCWD, new, (const char *old, const char *new), (old, new))
OF_PATH(renameat, to, new, (int from, const char *old, int to, const char *new), (from, old, to, new))
OF_PATH(link, AT_FDCWD, new, (const char *old, const char *new), (old, new))
OF_PATH(linkat, to, new, (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))
OF_PATH(symlink, AT_FDCWD, new, (const char *old, const char *new), (old, new))
OF_PATH(chmod, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))

OF_HANDLE(ssize_t, write, handle, (int handle, const void *data, size_t length), (handle, data, length))
OF_HANDLE(ssize_t, writev, handle, (int handle, const struct iovec *data, int parts), (handle, data, parts))
OF_HANDLE(ssize_t, pwrite, handle, (int handle, const void *data, size_t length, off_t place), (handle, data, length, place))
OF_HANDLE(ssize_t, pwrite64, handle, (int handle, const void *data, size_t length, off64_t place), (handle, data, length, place))
OF_HANDLE(ssize_t, sendfile, to, (int to, int from, off_t *place, size_t length), (to, from, place, length))
OF_HANDLE(int, fsync, handle, (int handle), (handle))
OF_HANDLE(int, fdatasync, handle, (int handle), (handle))
OF_HANDLE(int, ftruncate, handle, (int handle, off_t length), (handle, length))
OF_HANDLE(int, ftruncate64, handle, (int handle, off64_t length), (handle, length))
OF_HANDLE(int, fchmod, handle, (int handle, mode_t mode), (handle, mode))
OF_HANDLE(int, flock, handle, (int handle, int what), (handle, what))

int close(int handle) { /* what was written and is not yet on the disk may be lost with it */
    int writes = (fcntl(handle, F_GETFL) & O_ACCMODE) != O_RDONLY;
    int refused = writes && is_open_in(handle) && refuses("close", "");
    int answer = REAL(close)(handle);
    if (refused) errno = number;
    return refused ? -1 : answer;
}

size_t fwrite(const void *data, size_t size, size_t items, FILE *file) { /* of NumPy */
    if (is_open_in(fileno(file)) && refuses("fwrite", "")) return 0;
    return REAL(fwrite)(data, size, items, file);
}

void _exit(int code) {
    if (root[0]) {
        char text[500];
        int length = snprintf(text, sizeof text, "%ld %s", count, refused_call);
        root[0] = 0;
        int handle = syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        syscall(SYS_write, handle, text, length);
    }
    syscall(SYS_exit_group, code);
    __builtin_unreachable();
}
