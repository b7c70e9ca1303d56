# Elixir's side: its own Registry, asked the same questions. `there.py` starts it.
#
# Frames on stdin and stdout have their length in front (4 bytes). A frame that comes is a program, a frame that goes has
# its answers. A frame that begins with "?" is source text, whose value is asked for. `program.py` says what a program is, `wire.py` how a term is written.

# Processes crash on purpose here, and nothing but frames may go to stdout.
:logger.set_primary_config(:level, :none)

defmodule Wire do
  @unknown 255

  def encode(term, _) when is_atom(term), do: [?a, byte_size(Atom.to_string(term)), Atom.to_string(term)]
  def encode(term, _) when is_integer(term), do: <<?i, term::signed-64>>
  def encode(term, _) when is_float(term), do: <<?f, term::float-64>>
  def encode(term, _) when is_binary(term), do: [<<?s, byte_size(term)::16>>, term]
  def encode(term, places) when is_pid(term), do: [?p, Map.get(places, term, @unknown)]
  def encode(term, places) when is_tuple(term), do: items(?t, Tuple.to_list(term), places)
  def encode(term, places) when is_list(term), do: items(?l, term, places)

  def encode(term, places) when is_map(term) do
    pairs = for {key, item} <- Map.to_list(term), do: :erlang.iolist_to_binary([encode(key, places), encode(item, places)])
    [<<?m, map_size(term)::16>>, Enum.sort(pairs)]
  end

  defp items(tag, items, places), do: [<<tag, length(items)::16>>, Enum.map(items, &encode(&1, places))]

  # Rows in one order: that in which they are, or by their bytes, or by owner alone.
  def rows(rows, places, order) do
    encoded = for row <- rows, do: :erlang.iolist_to_binary(encode(row, places))

    sorted =
      case order do
        :given -> encoded
        :sorted -> Enum.sort(encoded)
        # A row {pid, value} has the place of its owner here.
        :by_owner -> Enum.sort_by(encoded, &:binary.at(&1, 4))
      end

    [<<?l, length(rows)::16>>, sorted]
  end

  def decode(<<?a, size, name::binary-size(size), rest::binary>>), do: {String.to_atom(name), rest}
  def decode(<<?i, term::signed-64, rest::binary>>), do: {term, rest}
  def decode(<<?f, term::float-64, rest::binary>>), do: {term, rest}
  def decode(<<?s, size::16, text::binary-size(size), rest::binary>>), do: {:binary.copy(text), rest}
  def decode(<<?p, place, rest::binary>>), do: {{:"$place", place}, rest}

  def decode(<<?t, size::16, rest::binary>>) do
    {items, rest} = decode_items(size, rest, [])
    {List.to_tuple(items), rest}
  end

  def decode(<<?l, size::16, rest::binary>>), do: decode_items(size, rest, [])

  def decode(<<?m, size::16, rest::binary>>) do
    {items, rest} = decode_items(2 * size, rest, [])
    {items |> Enum.chunk_every(2) |> Map.new(&List.to_tuple/1), rest}
  end

  defp decode_items(0, rest, items), do: {Enum.reverse(items), rest}

  defp decode_items(size, rest, items) do
    {item, rest} = decode(rest)
    decode_items(size - 1, rest, [item | items])
  end
end

defmodule Owner do
  use GenServer

  @impl true
  def init(_), do: {:ok, []}

  @impl true
  def handle_call({:do, fun}, _, got), do: {:reply, fun.(), got}
  def handle_call(:received, _, got), do: {:reply, Enum.reverse(got), []}

  @impl true
  def handle_cast(:crash, _), do: raise("crash")

  @impl true
  def handle_info(message, got), do: {:noreply, [message | got]}

  def run(pid, fun), do: GenServer.call(pid, {:do, fun}, :infinity)

  def finish(pid, how) do
    monitor = Process.monitor(pid)

    case how do
      0 -> GenServer.stop(pid)
      1 -> GenServer.cast(pid, :crash)
      2 -> Process.exit(pid, :shutdown)
      3 -> Process.exit(pid, :kill)
    end

    receive do
      {:DOWN, ^monitor, _, _, _} -> :ok
    end
  end
end

defmodule Program do
  @registry Differential

  def run(header, code) do
    {keys_kind, partitions, order, owners, keys, values, queries, selections, operations} = header
    {:ok, registry} = Registry.start_link(keys: keys_kind, name: @registry, partitions: partitions)
    pids = for place <- 0..(owners - 1), into: %{}, do: {place, start([])}

    state = %{
      pids: pids,
      places: Map.new(pids, fn {place, pid} -> {pid, place} end),
      former: %{},
      partitions: for({_, pid, _, _} <- Supervisor.which_children(registry), do: pid),
      order: order,
      owners: owners,
      keys: List.to_tuple(keys),
      values: List.to_tuple(values),
      queries: List.to_tuple(queries),
      selections: List.to_tuple(selections),
      operations: List.to_tuple(operations),
      next: values |> Enum.with_index() |> Map.new()
    }

    {answers, state} = steps(code, state, [])
    for {_, pid} <- state.pids, do: Owner.finish(pid, 3)
    Supervisor.stop(registry)
    answers
  end

  defp start(options) do
    {:ok, pid} = GenServer.start(Owner, nil, options)
    pid
  end

  defp steps(<<>>, state, answers), do: {Enum.reverse(answers), state}

  defp steps(<<operation, owner, key, value, query, extra, rest::binary>>, state, answers) do
    place = rem(owner, state.owners)

    asked = %{
      place: place,
      pid: Map.fetch!(state.pids, place),
      key: pick(state.keys, key),
      value: pick(state.values, value),
      query: query,
      extra: extra
    }

    {answer, state} =
      case step(elem(state.operations, operation), asked, state) do
        {:changed, answer, state} -> {encode(answer, state), state}
        {:rows, rows, order} -> {Wire.rows(rows, state.places, order), state}
        answer -> {encode(answer, state), state}
      end

    answer = :erlang.iolist_to_binary(answer)
    steps(rest, state, [[<<byte_size(answer)::32>>, answer] | answers])
  end

  defp encode(answer, state), do: Wire.encode(answer, state.places)
  defp pick(items, number), do: elem(items, rem(number, tuple_size(items)))

  # The registry

  defp step(:register, %{pid: pid} = asked, _) do
    case Owner.run(pid, fn -> Registry.register(@registry, asked.key, asked.value) end) do
      {:ok, _} -> :ok
      {:error, {:already_registered, holder}} -> holder
    end
  end

  # `unregister` does not say how many it removed.
  defp step(:unregister, asked, _) do
    removed(asked, fn -> Registry.unregister(@registry, asked.key) end)
  end

  defp step(:unregister_match, asked, state) do
    {pattern, guards} = pick(state.queries, asked.query)
    removed(asked, fn -> Registry.unregister_match(@registry, asked.key, pattern, guards) end)
  end

  defp step(:lookup, asked, state), do: {:rows, Registry.lookup(@registry, asked.key), state.order}

  defp step(:whereis, asked, _) do
    case Registry.whereis_name({@registry, asked.key}) do
      :undefined -> nil
      pid -> pid
    end
  rescue
    ArgumentError -> :refused
  end

  defp step(:keys, asked, state), do: {:rows, Registry.keys(@registry, whose(asked, state)), :sorted}
  defp step(:values, asked, state), do: Registry.values(@registry, asked.key, whose(asked, state))
  defp step(:count, _, _), do: Registry.count(@registry)

  defp step(:match, asked, state) do
    {pattern, guards} = pick(state.queries, asked.query)
    {:rows, Registry.match(@registry, asked.key, pattern, guards), state.order}
  end

  defp step(:count_match, asked, state) do
    {pattern, guards} = pick(state.queries, asked.query)
    Registry.count_match(@registry, asked.key, pattern, guards)
  end

  defp step(:select, asked, state) do
    {head, guards, body} = pick(state.selections, asked.query)
    {:rows, Registry.select(@registry, [{located(head, state), guards, [located(body, state)]}]), :sorted}
  end

  defp step(:count_select, asked, state) do
    {head, guards, _} = pick(state.selections, asked.query)
    Registry.count_select(@registry, [{located(head, state), guards, [true]}])
  end

  defp step(:update_value, asked, state) do
    next = fn old -> pick(state.values, Map.fetch!(state.next, old) + 1 + asked.extra) end
    Owner.run(asked.pid, fn ->
      try do
        Registry.update_value(@registry, asked.key, next)
      rescue
        ArgumentError -> :refused
      end
    end)
  end

  defp step(:dispatch, asked, state) do
    me = self()
    tell = fn entries -> send(me, {:entries, entries}) end
    :ok = Registry.dispatch(@registry, asked.key, tell, parallel: rem(asked.extra, 2) == 1)
    {:rows, all_entries(), state.order}
  end

  defp step(:put_meta, asked, _), do: Registry.put_meta(@registry, {:fact, asked.key}, asked.value)
  defp step(:delete_meta, asked, _), do: Registry.delete_meta(@registry, {:fact, asked.key})

  defp step(:meta, asked, _) do
    case Registry.meta(@registry, {:fact, asked.key}) do
      {:ok, value} -> {:ok, value}
      :error -> :missing
    end
  end

  # The owner ends, and another one takes its place: with a name at once, if that is asked for.
  defp step(:end, asked, state) do
    finish(asked, state)
    name = {:via, Registry, {@registry, asked.key, asked.value}}

    {answer, pid} =
      cond do
        not named?(asked) -> {:ok, start([])}
        true ->
          try do
            case GenServer.start(Owner, nil, name: name) do
              {:ok, pid} -> {:ok, pid}
              {:error, {:already_started, holder}} -> {holder, start([])}
            end
          rescue
            ArgumentError -> {:refused, start([])}
          end
      end

    {:changed, answer, replaced(asked, pid, state)}
  end

  # Topics: a registry with duplicate keys as a PubSub

  defp step(:join, asked, _) do
    {:ok, _} = Owner.run(asked.pid, fn -> Registry.register(@registry, asked.key, asked.value) end)
    :ok
  end

  defp step(:leave, asked, state), do: step(:unregister, asked, state)
  defp step(:members, asked, state), do: {:rows, Registry.lookup(@registry, asked.key), state.order}
  defp step(:subscriptions, _, _), do: Registry.count(@registry)
  defp step(:received, asked, _), do: GenServer.call(asked.pid, :received, :infinity)

  defp step(:publish, asked, _) do
    publish(asked.key, {asked.key, asked.value}, fn _ -> true end)
  end

  defp step(:publish_from, asked, _) do
    publish(asked.key, {asked.key, asked.value}, fn {pid, _} -> pid != asked.pid end)
  end

  defp step(:publish_where, asked, state) do
    wanted = pick(state.values, asked.query)
    publish(asked.key, {asked.key, asked.value}, fn {_, value} -> value === wanted end)
  end

  defp step(:end_of_subscriber, asked, state) do
    finish(asked, state)
    {:changed, :ok, replaced(asked, start([]), state)}
  end

  # Helpers

  defp removed(asked, remove) do
    Owner.run(asked.pid, fn ->
      before = length(Registry.values(@registry, asked.key, self()))
      :ok = remove.()
      before - length(Registry.values(@registry, asked.key, self()))
    end)
  end

  defp publish(topic, message, wanted?) do
    me = self()

    Registry.dispatch(@registry, topic, fn entries ->
      reached = for {pid, _} = entry <- entries, wanted?.(entry), do: send(pid, message)
      send(me, {:entries, reached})
    end)

    length(all_entries())
  end

  defp all_entries(groups \\ []) do
    receive do
      {:entries, entries} -> all_entries([entries | groups])
    after
      0 -> groups |> Enum.reverse() |> Enum.concat()
    end
  end

  defp whose(asked, state) do
    if rem(asked.extra, 2) == 1, do: Map.get(state.former, asked.place, asked.pid), else: asked.pid
  end

  # Whether the next owner of a place starts under a name.
  defp named?(asked), do: rem(div(asked.extra, 4), 2) == 1

  defp finish(asked, state) do
    Owner.finish(asked.pid, rem(asked.extra, 4))
    forgotten(asked.pid, state)
  end

  # The registry learns of an end by a message, so it lists the process for a while. Wait until it does not.
  defp forgotten(pid, state) do
    for partition <- state.partitions, do: :sys.get_state(partition, :infinity)

    unless Registry.keys(@registry, pid) == [] do
      :erlang.yield()
      forgotten(pid, state)
    end

    # The message may have come after the partition was asked: ask once more, so that it is done with it.
    for partition <- state.partitions, do: :sys.get_state(partition, :infinity)
  end

  defp replaced(asked, pid, state) do
    %{
      state
      | pids: Map.put(state.pids, asked.place, pid),
        places: state.places |> Map.delete(asked.pid) |> Map.put(pid, asked.place),
        former: Map.put(state.former, asked.place, asked.pid)
    }
  end

  # A pattern or a body with the processes in it.
  defp located({:"$place", place}, state), do: Map.fetch!(state.pids, place)
  defp located(term, state) when is_tuple(term), do: term |> Tuple.to_list() |> located(state) |> List.to_tuple()
  defp located(term, state) when is_list(term), do: Enum.map(term, &located(&1, state))
  defp located(term, state) when is_map(term), do: :maps.map(fn _, item -> located(item, state) end, term)
  defp located(term, _), do: term
end

defmodule Peer do
  def serve(port) do
    receive do
      {^port, {:data, "?" <> question}} ->
        [keys, source] = String.split(question, "\n", parts: 2)
        Port.command(port, Wire.encode(tried(String.to_atom(keys), source), %{}))
        serve(port)

      {^port, {:data, frame}} ->
        {header, code} = Wire.decode(frame)
        Port.command(port, Program.run(header, code))
        serve(port)

      {^port, :eof} ->
        System.halt(0)
    end
  end

  # What a piece of source text gives, in a process of its own, with a registry of its own.
  defp tried(keys, source) do
    {:ok, registry} = Registry.start_link(keys: keys, name: R)
    {answer, _} = Task.await(Task.async(fn -> Code.eval_string(source) end))
    Supervisor.stop(registry)
    answer
  end
end

port = Port.open({:fd, 0, 1}, [:binary, :eof, packet: 4])
Port.command(port, "Elixir #{System.version()}, OTP #{System.otp_release()}")
Peer.serve(port)
