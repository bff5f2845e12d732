import { openDirectoryDriver } from '../../backends/dir/open.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

/** For `openInProcess`: the store in the directory `path`. */
export const connect = (path: string): Promise<SlotDriver> => openDirectoryDriver({ path });
