import { type ListedObject, type ObjectStore, requireObjectName } from './object-store.ts';

/** Objects in memory, for tests, which may reach into `values` and spoil them. */
export const memoryObjects = (values: Map<string, Uint8Array> = new Map()): ObjectStore => ({
  place: 'memory',
  put: async (name, value) => {
    requireObjectName(name);
    await Promise.resolve();
    values.set(name, Uint8Array.from(value));
  },
  get: async (name, range) => {
    requireObjectName(name);
    await Promise.resolve();
    const value = values.get(name);
    const from = range?.from ?? 0;
    return value?.slice(from, range === undefined ? undefined : from + range.length);
  },
  list: async (prefix) => {
    await Promise.resolve();
    const names = [...values.keys()].filter((name) => name.startsWith(prefix)).sort();
    return names.map((name): ListedObject => ({ name, bytes: values.get(name)?.length ?? 0 }));
  },
  remove: async (name) => {
    requireObjectName(name);
    await Promise.resolve();
    values.delete(name);
  },
  close: async () => {
    await Promise.resolve();
  },
});
