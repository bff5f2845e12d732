import { useCompileCache } from '../compile-cache.ts';

useCompileCache(import.meta.url);
const { main } = await import('./main.ts');
const { processIo } = await import('../cli-io.ts');
const { runAsProcess } = await import('../program.ts');
await runAsProcess((argv) => main(argv, processIo()));
