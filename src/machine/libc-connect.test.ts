import type koffiModule from 'koffi';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bindConnectAs, type ConnectAs } from './libc-connect.ts';
import { socketAddress } from './socket-address.ts';

const ASK = 0xffff_ffff;
const EPERM = 1;

interface Kernel {
  fsuid: number;
  fsgid: number;
  groups: number[];
  /** What this process may change. */
  may: { setgroups: boolean; setid: boolean };
}

/** The calls of one thread, by the order in which they are bound. */
function bindTo(kernel: Kernel): ConnectAs {
  const numbers = process.arch === 'arm64' ? { uid: 151, get: 158 } : { uid: 122, get: 115 };
  const one = (call: number, id: number): number => {
    const key = call === numbers.uid ? 'fsuid' : 'fsgid';
    const before = kernel[key];
    if (id !== ASK && kernel.may.setid) kernel[key] = id;
    return before;
  };
  const list = (call: number, size: number, groups: Uint32Array): number => {
    if (call === numbers.get) {
      groups.set(kernel.groups);
      return kernel.groups.length;
    }
    if (!kernel.may.setgroups) return -1;
    kernel.groups = [...groups.subarray(0, size)].sort((a, b) => a - b);
    return 0;
  };
  const functions: Record<string, (...args: never[]) => number> = {
    'long syscall(long, size_t)': one,
    'long syscall(long, size_t, _Inout_ uint32_t *)': list,
    'int socket(int, int, int)': () => {
      expect(kernel).toMatchObject({ fsuid: 1000, fsgid: 1000, groups: [27, 1000] });
      return 77;
    },
    'int connect(int, uint8_t *, uint32_t)': () => 0,
    'int close(int)': () => 0,
  };
  const lib = { func: (definition: string) => functions[definition] };
  return bindConnectAs(
    { errno: () => EPERM } as unknown as typeof koffiModule,
    lib as unknown as ReturnType<typeof koffiModule.load>,
  );
}

describe('a socket that is made as somebody else', () => {
  const abort = vi.spyOn(process, 'abort').mockImplementation((() => undefined) as unknown as () => never);
  afterEach(() => {
    abort.mockClear();
  });
  const ids = { fsuid: process.geteuid?.() ?? 0, fsgid: process.getegid?.() ?? 0 };
  const joe = { uid: 1000, gid: 1000, groups: [1000, 27] };
  const address = socketAddress('127.0.0.1', 9);

  it('is theirs, and all is ours again afterwards', () => {
    const kernel: Kernel = { ...ids, groups: [0, 5], may: { setgroups: true, setid: true } };
    expect(bindTo(kernel)(joe, address)).toBe(77);
    expect(kernel).toMatchObject({ ...ids, groups: [0, 5] });
    expect(abort).not.toHaveBeenCalled();
  });
  it.each([
    ['groups, as in a user namespace,', { setgroups: false, setid: true }],
    ['ids', { setgroups: true, setid: false }],
    ['anything, without the capabilities,', { setgroups: false, setid: false }],
  ])('is refused, and nothing ends, where we may not change %s', (_what, may) => {
    const kernel: Kernel = { ...ids, groups: [0, 5], may };
    expect(() => bindTo(kernel)(joe, address)).toThrow('it needs CAP_SETUID and CAP_SETGID');
    expect(kernel).toMatchObject({ ...ids, groups: [0, 5] });
    expect(abort).not.toHaveBeenCalled();
  });
  it('ends the process when ours do not come back', () => {
    const kernel: Kernel = { ...ids, groups: [0, 5], may: { setgroups: true, setid: true } };
    const connectAs = bindTo(kernel);
    vi.spyOn(kernel, 'may', 'get').mockImplementation(() => ({
      setgroups: kernel.groups.length !== 2 || kernel.groups[0] === 0,
      setid: true,
    }));
    connectAs(joe, address);
    expect(abort).toHaveBeenCalledOnce();
  });
});
