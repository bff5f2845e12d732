import { copyOfStore, memoryDriver, memoryStore, putBackStore } from '../../src/log/memory-driver.ts';
import { describeStore } from './suite.ts';

describeStore('memory', () => {
  const store = memoryStore();
  return Promise.resolve({
    connect: () => Promise.resolve(memoryDriver(store)),
    spoil: (partition, slot, change) => {
      const slots = store.slots.get(partition) ?? new Map<number, Uint8Array>();
      const changed = change(slots.get(slot) ?? new Uint8Array());
      if (changed === undefined) slots.delete(slot);
      else slots.set(slot, changed);
      // A map keeps the order of insertion, a store that of the slots.
      store.slots.set(partition, new Map([...slots].sort(([a], [b]) => a - b)));
      return Promise.resolve();
    },
    save: () => {
      const kept = copyOfStore(store);
      return Promise.resolve(() => {
        putBackStore(store, kept);
        return Promise.resolve();
      });
    },
    dispose: () => Promise.resolve(),
  });
});
