/* Lets chosen system calls on files below one folder fail, or kills the process at them. Also moves the clock.
 *
 * Loaded with LD_PRELOAD; tests/faults/system_calls.py compiles it and calls the functions `fault_...`. A call
 * counts if its file is below the watched folder. The first call has the number 1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum group { CREATE, WRITE, RENAME, DELETE, SYNC, READ, GROUPS };
enum action { FAIL, KILL_BEFORE, KILL_DURING, KILL_AFTER };

static char folder[4096];
static long counts[GROUPS];
static int armed = -1, armed_action, armed_error, armed_lasts;
static long armed_at;
static time_t clock_offset;
static int victim; /* the process that "kill before" kills; 0: this one */

void fault_watch(const char *root) { snprintf(folder, sizeof folder, "%s", root); }
long fault_count(int group) { return counts[group]; }
void fault_clock(long seconds) { clock_offset = seconds; }

void fault_victim(int process) { victim = process; }

void fault_arm(int group, long at, int action, int error, int lasts) {
  armed_at = at, armed_action = action, armed_error = error, armed_lasts = lasts;
  armed = group;
}

static int is_below(int directory, const char *path) {
  char whole[8192], link[64];
  ssize_t length = 0;
  if (path == NULL || path[0] != '/') {
    if (directory == AT_FDCWD) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    length = readlink(link, whole, 4095);
    if (length < 0) return 0;
  }
  snprintf(whole + length, sizeof whole - length, "%s%s", path && length ? "/" : "", path ? path : "");
  size_t size = strlen(folder);
  return strncmp(whole, folder, size) == 0 && (whole[size] == '/' || whole[size] == '\0');
}

static void die(void) { kill(getpid(), SIGKILL); pause(); }

/* Returns 1 if the call must fail, with errno set; 2 if the process dies during it, 3 after it; otherwise 0. */
static int meets(enum group group, int directory, const char *path) {
  if (folder[0] == '\0') return 0;
  int before = errno, below = is_below(directory, path);
  errno = before;
  if (!below) return 0;
  long number = __atomic_add_fetch(&counts[group], 1, __ATOMIC_SEQ_CST);
  if (armed < 0) return 0;
  int lasting = armed_lasts && counts[armed] >= armed_at && group <= DELETE;
  if (armed_error == ENOSPC && group >= RENAME) lasting = 0; /* on a full disk, files can still be renamed */
  if (!lasting && !(group == (enum group)armed && number == armed_at)) return 0;
  if (armed_action == FAIL) {
    errno = armed_error;
    return 1;
  }
  if (armed_action == KILL_BEFORE && victim != 0) {
    kill(victim, SIGKILL);
    return 0;
  }
  if (armed_action == KILL_BEFORE) die();
  return armed_action;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define CALL(group, directory, path, call)          \
  int met = meets(group, directory, path);          \
  if (met == 1 || met == KILL_DURING) {             \
    if (met == KILL_DURING) die();                  \
    return -1;                                      \
  }                                                 \
  __typeof__(call) result = call;                   \
  if (met == KILL_AFTER) die();                     \
  return result;

#define OPEN(name)                                                             \
  int name(const char *path, int flags, ...) {                                 \
    va_list rest;                                                              \
    va_start(rest, flags);                                                     \
    mode_t mode = va_arg(rest, mode_t);                                        \
    va_end(rest);                                                              \
    REAL(name);                                                                \
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) == 0) return real(path, flags); \
    CALL(CREATE, AT_FDCWD, path, real(path, flags, mode))                      \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                      \
  int name(int directory, const char *path, int flags, ...) {                             \
    va_list rest;                                                                         \
    va_start(rest, flags);                                                                \
    mode_t mode = va_arg(rest, mode_t);                                                   \
    va_end(rest);                                                                         \
    REAL(name);                                                                           \
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) == 0) return real(directory, path, flags); \
    CALL(CREATE, directory, path, real(directory, path, flags, mode))                     \
  }
OPENAT(openat)
OPENAT(openat64)

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  CALL(CREATE, AT_FDCWD, path, real(path, mode))
}

/* A process that dies during a write has written half of the bytes. */
#define WRITES(name, parameters, arguments, halved)      \
  ssize_t name parameters {                              \
    REAL(name);                                          \
    int met = meets(WRITE, file, NULL);                  \
    if (met == 1) return -1;                             \
    if (met == KILL_DURING) {                            \
      if (real halved < 0) {}                            \
      die();                                             \
    }                                                    \
    ssize_t result = real arguments;                     \
    if (met == KILL_AFTER) die();                        \
    return result;                                       \
  }
WRITES(write, (int file, const void *data, size_t size), (file, data, size), (file, data, size / 2))
WRITES(pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at), (file, data, size / 2, at))
WRITES(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at),
       (file, data, size / 2, at))
WRITES(writev, (int file, const struct iovec *parts, int count), (file, parts, count), (file, parts, count / 2))

#define READS(name, parameters, arguments)  \
  ssize_t name parameters {                 \
    REAL(name);                             \
    CALL(READ, file, NULL, real arguments)  \
  }
READS(read, (int file, void *data, size_t size), (file, data, size))
READS(pread, (int file, void *data, size_t size, off_t at), (file, data, size, at))
READS(pread64, (int file, void *data, size_t size, off64_t at), (file, data, size, at))

int rename(const char *from, const char *to) {
  REAL(rename);
  CALL(RENAME, AT_FDCWD, to, real(from, to))
}
int renameat(int from_directory, const char *from, int directory, const char *to) {
  REAL(renameat);
  CALL(RENAME, directory, to, real(from_directory, from, directory, to))
}
int link(const char *from, const char *to) {
  REAL(link);
  CALL(RENAME, AT_FDCWD, to, real(from, to))
}
int unlink(const char *path) {
  REAL(unlink);
  CALL(DELETE, AT_FDCWD, path, real(path))
}
int unlinkat(int directory, const char *path, int flags) {
  REAL(unlinkat);
  CALL(DELETE, directory, path, real(directory, path, flags))
}
int rmdir(const char *path) {
  REAL(rmdir);
  CALL(DELETE, AT_FDCWD, path, real(path))
}
int fsync(int file) {
  REAL(fsync);
  CALL(SYNC, file, NULL, real(file))
}
int fdatasync(int file) {
  REAL(fdatasync);
  CALL(SYNC, file, NULL, real(file))
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(clock_gettime);
  int result = real(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += clock_offset;
  return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  REAL(gettimeofday);
  int result = real(now, zone);
  now->tv_sec += clock_offset;
  return result;
}
time_t time(time_t *now) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (now != NULL) *now = exact.tv_sec;
  return exact.tv_sec;
}
