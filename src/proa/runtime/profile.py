"""Which system calls a container may make: Proa's own default profile, as facts by topic and by capability.

What is not named here answers EPERM. The effect equals that of Docker's default profile (a test runs every system
call number of every architecture through both), so an image that works there works here.

The kernel's own surface is what this keeps away: namespaces and mounts without CAP_SYS_ADMIN, io_uring, userfaultfd,
keyrings, bpf, AF_ALG and AF_VSOCK sockets, personalities that weaken a program.
Names are the kernel's; one that does not exist on an architecture, or that libseccomp does not know yet, is skipped.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Condition = tuple[int, str, int, int]
    Rule = tuple[str, int, tuple["Condition", ...]]

ALLOW = 0
EPERM = 1
ENOSYS = 38

FILES = """
    _llseek access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat
    faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32
    fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64
    fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat
    listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod
    mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev
    pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir
    sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 statmount statx symlink symlinkat
    sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64
    utimes vmsplice write writev
"""
"""Names, contents and attributes of files."""

PROCESSES = """
    capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv
    futex_wake get_robust_list get_thread_area getcpu getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
    getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid getresuid32 getrlimit
    getrusage getsid gettid getuid getuid32 ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset
    landlock_restrict_self membarrier pause pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease
    process_vm_readv process_vm_writev ptrace restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsgid32
    setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid
    setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32 sigaltstack signalfd
    signalfd4 sigprocmask sigreturn tgkill times tkill ugetrlimit uretprobe vfork wait4 waitid waitpid
"""
"""Processes, threads, credentials, signals."""

MEMORY = """
    brk cachestat ipc madvise map_shadow_stack memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
    mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap pkey_alloc pkey_free
    pkey_mprotect remap_file_pages semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
"""
"""Address space and shared memory."""

SOCKETS = """
    _newselect accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait
    epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 getpeername getsockname getsockopt io_cancel io_destroy
    io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit listen poll ppoll ppoll_time64 pselect6
    pselect6_time64 recv recvfrom recvmmsg recvmmsg_time64 recvmsg select send sendmmsg sendmsg sendto setsockopt
    shutdown socketcall socketpair
"""
"""Sockets but for making one, and waiting for descriptors."""

TIME = """
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64
"""
"""Clocks and timers."""

OTHER = "getrandom riscv_hwprobe sysinfo uname"
"""What the machine is, and randomness."""

BY_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_ADMIN": (
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
        "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl "
        "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"
    ),
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}
"""What each capability opens beside the above. Capabilities not named here open nothing more."""

BY_MACHINE = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
}
"""What only one kind of machine has; its 32-bit relatives see the same."""

NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of clone(2)."""

SOCKETS_MADE: "tuple[Condition, ...]" = ((0, "<", 38, 0), (0, "==", 39, 0), (0, ">", 40, 0))
"""socket(2) by its family: all but AF_ALG (38) and AF_VSOCK (40)."""

PERSONALITIES = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
"""personality(2): PER_LINUX, PER_LINUX32, either with UNAME26, and the question which one is set."""


def relevant(capabilities: "frozenset[str]") -> "frozenset[str]":
    """Those of ``capabilities`` that change the filter: equal answers mean equal filters."""
    return capabilities & BY_CAPABILITY.keys()


def rules(capabilities: "frozenset[str]", machine: str) -> "Iterator[Rule]":
    """(name, errno or ALLOW, conditions) for each call that does not simply answer EPERM.

    ``machine`` is uname(2)'s. A condition is (argument's index, operator, value, second value): all of a rule's must
    hold, and a call is allowed when any of its rules matches. Operators: < == > &== (argument & value == second).
    """
    for name in sorted(_names(capabilities, machine)):
        yield name, ALLOW, ()
    for condition in SOCKETS_MADE:
        yield "socket", ALLOW, (condition,)
    for value in PERSONALITIES:
        yield "personality", ALLOW, ((0, "==", value, 0),)
    if "CAP_SYS_ADMIN" not in capabilities:
        yield "clone", ALLOW, ((0, "&==", NEW_NAMESPACES, 0),)
        # clone3's flags lie in memory, out of a filter's sight; ENOSYS makes C libraries fall back to clone
        yield "clone3", ENOSYS, ()


def _names(capabilities: "frozenset[str]", machine: str) -> "set[str]":
    texts = [FILES, PROCESSES, MEMORY, SOCKETS, TIME, OTHER, BY_MACHINE.get(machine, "")]
    texts += [BY_CAPABILITY[name] for name in relevant(capabilities)]
    return set(" ".join(texts).split())
