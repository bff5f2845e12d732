import { useCompileCache } from '../compile-cache.ts';

useCompileCache(import.meta.url);
const { runAsProcess } = await import('../program.ts');
const { main } = await import('./main.ts');
await runAsProcess((argv) => main(argv));
