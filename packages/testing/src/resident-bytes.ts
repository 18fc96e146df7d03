/** Memory of a service, as its own metrics say. @param health `http://host:port` of its health server. */
export async function residentBytes(health: string): Promise<number> {
  const metrics = await (await fetch(`${health}/metrics`)).text();
  return Number(/^process_resident_memory_bytes\S* (\S+)$/m.exec(metrics)?.[1]);
}
